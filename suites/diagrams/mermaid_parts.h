// What the readers of mermaid.h share: a cursor over one statement and the diagram being filled.
#pragma once

#include <string>
#include <string_view>

#include "suites/diagrams/mermaid.h"

namespace ds4::suites {

/// One statement, read from the front.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}
  bool done() const { return text_.empty(); }
  std::string_view rest() const { return text_; }
  char front() const { return text_.empty() ? '\0' : text_.front(); }
  void skip(size_t count) { text_.remove_prefix(count); }
  void skip_blanks();
  /// Takes `token` if it stands here.
  bool take(std::string_view token);
  /// The text before `token`, which is taken too; false (nothing taken) when there is none.
  bool take_until(std::string_view token, std::string_view& before);
  /// Letters, digits, `_` and bytes above 127; a `-` or `.` between two of them. May be empty.
  std::string_view take_id();
  /// As many `c` as stand here.
  size_t take_run(char c);

 private:
  std::string_view text_;
};

/// Notes the first problem.
void note_problem(MermaidDiagram& diagram, std::string_view what, std::string_view statement);

/// A statement of a flowchart but `subgraph` and `end`. False: it breaks the grammar.
bool read_flow_statement(std::string_view statement, MermaidDiagram& diagram);

/// One line of a sequence diagram but its blocks' first and last lines.
bool read_sequence_statement(std::string_view statement, MermaidDiagram& diagram);

/// One line of a state diagram, braces at its end taken off.
bool read_state_statement(std::string_view statement, MermaidDiagram& diagram);

}  // namespace ds4::suites

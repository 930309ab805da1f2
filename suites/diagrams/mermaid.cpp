// Lines, headers and blocks; single statements are read by the kind's own file.
#include "suites/diagrams/mermaid.h"

#include <algorithm>
#include <array>

#include "suites/common/answers.h"
#include "suites/diagrams/mermaid_parts.h"

namespace ds4::suites {
namespace {

bool is_id_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

std::string_view first_word(std::string_view text) {
  return text.substr(0, text.find_first_of(" \t"));
}

// `graph TD`, `sequenceDiagram`, ...: whether the statement is a header at all, and of which kind.
bool is_header(std::string_view statement, MermaidKind kind, bool& right) {
  const std::string_view word = first_word(statement);
  const std::string_view rest = trim(statement.substr(word.size()));
  static constexpr std::array<std::string_view, 5> kDirections = {"TB", "TD", "BT", "RL", "LR"};
  const bool direction =
      rest.empty() || std::find(kDirections.begin(), kDirections.end(), rest) != kDirections.end();
  const bool flow = word == "graph" || word == "flowchart";
  const bool sequence = word == "sequenceDiagram";
  const bool state = word == "stateDiagram" || word == "stateDiagram-v2";
  static constexpr std::array<std::string_view, 8> kOthers = {
      "classDiagram", "erDiagram", "gantt", "pie", "journey", "gitGraph", "mindmap", "timeline"};
  right = (kind == MermaidKind::kFlowchart && flow && direction) ||
          (kind == MermaidKind::kSequence && sequence && rest.empty()) ||
          (kind == MermaidKind::kState && state && rest.empty());
  return flow || sequence || state ||
         std::find(kOthers.begin(), kOthers.end(), word) != kOthers.end();
}

bool opens_sequence_block(std::string_view word) {
  static constexpr std::array<std::string_view, 9> kBlocks = {
      "loop", "alt", "opt", "par", "critical", "break", "rect", "box", "par_over"};
  return std::find(kBlocks.begin(), kBlocks.end(), word) != kBlocks.end();
}
bool divides_sequence_block(std::string_view word) {
  return word == "else" || word == "and" || word == "option";
}

// Reads statement by statement; knows how deep in blocks it is.
class Reader {
 public:
  Reader(MermaidKind kind, MermaidDiagram& diagram) : kind_(kind), diagram_(diagram) {}

  void line(std::string_view line) {
    line = trim(line);
    if (in_note_) {
      in_note_ = line != "end note";
      return;
    }
    // A `;` ends a statement where no bracket, quote or bar is open; message texts keep theirs.
    if (kind_ != MermaidKind::kFlowchart) return statement(line);
    size_t begin = 0;
    int depth = 0;
    bool quoted = false, barred = false;
    for (size_t i = 0; i < line.size(); ++i) {
      const char c = line[i];
      if (c == '"') quoted = !quoted;
      if (quoted) continue;
      if (c == '|') barred = !barred;
      if (c == '[' || c == '(' || c == '{') ++depth;
      if (c == ']' || c == ')' || c == '}') depth = std::max(0, depth - 1);
      if (c != ';' || depth > 0 || barred) continue;
      statement(line.substr(begin, i - begin));
      begin = i + 1;
    }
    statement(line.substr(begin));
  }

  void finish() {
    if (depth_ > 0) note_problem(diagram_, "a block is not ended", "");
    if (in_note_) note_problem(diagram_, "a note is not ended", "");
  }

 private:
  void statement(std::string_view text) {
    text = trim(text);
    if (text.empty() || text.starts_with("%%")) return;
    bool right = false;
    if (first_ && is_header(text, kind_, right)) {
      diagram_.header = right;
      first_ = false;
      return;
    }
    first_ = false;
    ++diagram_.statements;
    if (!read(text)) note_problem(diagram_, "not understood", text);
  }

  bool open() {
    ++depth_;
    return true;
  }
  bool close() { return depth_-- > 0 || (depth_ = 0, false); }

  bool read(std::string_view text) {
    const std::string_view word = first_word(text);
    switch (kind_) {
      case MermaidKind::kFlowchart:
        if (word == "subgraph") return open();
        if (text == "end") return close();
        return read_flow_statement(text, diagram_);
      case MermaidKind::kSequence:
        if (opens_sequence_block(word)) return open();
        if (divides_sequence_block(word)) return depth_ > 0;
        if (text == "end") return close();
        return read_sequence_statement(text, diagram_);
      case MermaidKind::kState:
        if (text == "}") return close();
        if (word == "note" && text.find(':') == text.npos) {
          in_note_ = true;
          return true;
        }
        if (!text.ends_with('{')) return read_state_statement(text, diagram_);
        return open() && read_state_statement(trim(text.substr(0, text.size() - 1)), diagram_);
    }
    return false;
  }

  MermaidKind kind_;
  MermaidDiagram& diagram_;
  bool first_ = true;
  bool in_note_ = false;
  int64_t depth_ = 0;
};

}  // namespace

void Cursor::skip_blanks() {
  while (!text_.empty() && (text_.front() == ' ' || text_.front() == '\t')) skip(1);
}

bool Cursor::take(std::string_view token) {
  if (!text_.starts_with(token)) return false;
  skip(token.size());
  return true;
}

bool Cursor::take_until(std::string_view token, std::string_view& before) {
  const size_t at = text_.find(token);
  if (at == text_.npos) return false;
  before = text_.substr(0, at);
  skip(at + token.size());
  return true;
}

std::string_view Cursor::take_id() {
  size_t end = 0;
  const auto id_at = [&](size_t i) { return i < text_.size() && is_id_character(text_[i]); };
  while (id_at(end) || (end > 0 && end < text_.size() && (text_[end] == '-' || text_[end] == '.') &&
                        id_at(end - 1) && id_at(end + 1))) {
    ++end;
  }
  const std::string_view id = text_.substr(0, end);
  skip(end);
  return id;
}

size_t Cursor::take_run(char c) {
  const size_t count = std::min(text_.find_first_not_of(c), text_.size());
  skip(count);
  return count;
}

void note_problem(MermaidDiagram& diagram, std::string_view what, std::string_view statement) {
  if (!diagram.problem.empty()) return;
  diagram.problem = what;
  if (!statement.empty()) diagram.problem += ": \"" + printable(statement, 60) + "\"";
}

const std::string& MermaidDiagram::label(const std::string& id) const {
  const auto found = labels.find(id);
  return found == labels.end() ? id : found->second;
}

MermaidDiagram read_mermaid(std::string_view text, MermaidKind kind) {
  MermaidDiagram diagram;
  Reader reader(kind, diagram);
  text = trim(text);
  if (text.starts_with("---\n")) {  // front matter
    const size_t end = text.find("\n---\n", 3);
    if (end == text.npos) {
      note_problem(diagram, "the front matter is not ended", "");
    } else {
      text.remove_prefix(end + 5);
    }
  }
  while (!text.empty()) {
    const size_t end = text.find('\n');
    reader.line(text.substr(0, end));
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  }
  reader.finish();
  return diagram;
}

}  // namespace ds4::suites

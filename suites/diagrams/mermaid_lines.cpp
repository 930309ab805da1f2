// Statements of sequence and state diagrams: one line each.
#include <array>

#include "suites/common/answers.h"
#include "suites/diagrams/mermaid_parts.h"

namespace ds4::suites {
namespace {

// Longest first. `->` and `-->` have no head in Mermaid's sense of a call, but point all the same.
constexpr std::array<std::string_view, 10> kMessages = {"<<-->>", "<<->>", "-->>", "->>", "-->",
                                                        "--x",    "--)",   "->",   "-x",  "-)"};

// `participant A as Label` behind its first word.
bool read_participant(std::string_view text, MermaidDiagram& diagram) {
  const size_t as = text.find(" as ");
  const std::string id(trim(text.substr(0, as)));
  if (id.empty()) return false;
  diagram.labels[id] = as == text.npos ? id : trim(text.substr(as + 4));
  return !diagram.labels[id].empty();
}

// `A->>B: text`: the arrow is the first of its signs before the colon.
bool read_message(std::string_view statement, MermaidDiagram& diagram) {
  const size_t colon = statement.find(':');
  if (colon == statement.npos) return false;
  const std::string_view ends = statement.substr(0, colon);
  for (size_t at = ends.find_first_of("-<"); at != ends.npos;
       at = ends.find_first_of("-<", at + 1)) {
    for (std::string_view sign : kMessages) {
      if (ends.substr(at, sign.size()) != sign) continue;
      std::string_view to = trim(ends.substr(at + sign.size()));
      if (!to.empty() && (to.front() == '+' || to.front() == '-')) to = trim(to.substr(1));
      const std::string from(trim(ends.substr(0, at)));
      const std::string_view text = trim(statement.substr(colon + 1));
      if (from.empty() || to.empty() || text.empty()) return false;
      diagram.used.insert({from, std::string(to)});
      diagram.edges.push_back({from, std::string(to), std::string(text), true});
      if (sign.front() == '<')
        diagram.edges.push_back({std::string(to), from, std::string(text), true});
      return true;
    }
  }
  return false;
}

// A state's name: an id, or the pseudo-state of beginning and end.
std::string take_state(Cursor& cursor) {
  cursor.skip_blanks();
  if (cursor.take("[*]")) return "[*]";
  std::string id(cursor.take_id());
  if (cursor.take(":::")) cursor.take_id();
  return id;
}

// `state "Label" as id`, `state id`, `state id <<fork>>` behind the first word.
bool read_state(Cursor cursor, MermaidDiagram& diagram) {
  cursor.skip_blanks();
  if (cursor.take("\"")) {
    std::string_view label;
    if (!cursor.take_until("\"", label)) return false;
    cursor.skip_blanks();
    if (!cursor.take("as ")) return false;
    cursor.skip_blanks();
    const std::string id(cursor.take_id());
    if (id.empty()) return false;
    diagram.labels[id] = trim(label);
  } else {
    const std::string id(cursor.take_id());
    if (id.empty()) return false;
    diagram.labels.try_emplace(id, id);
  }
  cursor.skip_blanks();
  return cursor.done() || cursor.rest().starts_with("<<") || cursor.rest().starts_with("[[");
}

}  // namespace

bool read_sequence_statement(std::string_view statement, MermaidDiagram& diagram) {
  for (std::string_view word : {"participant ", "actor ", "create participant ", "create actor "}) {
    if (statement.starts_with(word))
      return read_participant(statement.substr(word.size()), diagram);
  }
  for (std::string_view word : {"activate ", "deactivate ", "destroy "}) {
    if (!statement.starts_with(word)) continue;
    diagram.used.emplace(trim(statement.substr(word.size())));
    return true;
  }
  const std::string lower = lower_case(statement.substr(0, 5));
  if (lower == "note ") return statement.find(':') != statement.npos;
  if (statement == "autonumber" || statement.starts_with("autonumber ") ||
      statement.starts_with("title") || statement.starts_with("acc") ||
      statement.starts_with("links ") || statement.starts_with("link ")) {
    return true;
  }
  return read_message(statement, diagram);
}

bool read_state_statement(std::string_view statement, MermaidDiagram& diagram) {
  for (std::string_view word :
       {"classDef ", "class ", "style ", "direction ", "note ", "hide empty description"}) {
    if (statement.starts_with(word)) return true;
  }
  if (statement == "--") return true;  // concurrent regions
  if (statement.starts_with("state ")) return read_state(Cursor(statement.substr(6)), diagram);
  Cursor cursor(statement);
  const std::string from = take_state(cursor);
  if (from.empty()) return false;
  diagram.used.insert(from);
  cursor.skip_blanks();
  if (cursor.take("-->")) {
    const std::string to = take_state(cursor);
    if (to.empty()) return false;
    diagram.used.insert(to);
    cursor.skip_blanks();
    const bool labelled = cursor.take(":");
    if (!labelled && !cursor.done()) return false;
    diagram.edges.push_back({from, to, std::string(trim(cursor.rest())), true});
    return true;
  }
  if (cursor.take(":")) {  // a description: what is shown for the id
    diagram.labels[from] = trim(cursor.rest());
    return true;
  }
  return cursor.done();
}

}  // namespace ds4::suites

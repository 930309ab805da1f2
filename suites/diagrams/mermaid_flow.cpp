// Statements of a flowchart: chains of nodes and links, and what styles them.
#include <algorithm>
#include <array>

#include "suites/common/answers.h"
#include "suites/diagrams/mermaid_parts.h"

namespace ds4::suites {
namespace {

struct Shape {
  std::string_view open, close, other_close = {};
};

// Longest first, so that `([` is no `(`.
constexpr std::array<Shape, 13> kShapes = {{{"(((", ")))"},
                                            {"((", "))"},
                                            {"([", "])"},
                                            {"[[", "]]"},
                                            {"[(", ")]"},
                                            {"[/", "/]", "\\]"},
                                            {"[\\", "\\]", "/]"},
                                            {"{{", "}}"},
                                            {"[", "]"},
                                            {"(", ")"},
                                            {"{", "}"},
                                            {">", "]"},
                                            {"@{", "}"}}};

// Text in a shape: quoted, anything; bare, no bracket and no quote, which the real grammar refuses.
bool take_shape_text(Cursor& cursor, const Shape& shape, std::string_view& text) {
  cursor.skip_blanks();
  if (cursor.take("\"")) {
    if (!cursor.take_until("\"", text)) return false;
    cursor.skip_blanks();
    return cursor.take(shape.close) ||
           (!shape.other_close.empty() && cursor.take(shape.other_close));
  }
  const size_t end = std::min(cursor.rest().find_first_of("[](){}\""), cursor.rest().size());
  size_t length = end;
  const std::string_view rest = cursor.rest();
  for (std::string_view close : {shape.close, shape.other_close}) {
    if (close.empty()) continue;
    const size_t slash = close.front() == '/' || close.front() == '\\' ? 1 : 0;
    if (end < slash || rest.substr(end - slash, close.size()) != close) continue;
    length = end - slash;
    text = rest.substr(0, length);
    cursor.skip(length + close.size());
    return !trim(text).empty();
  }
  return false;
}

// `id@{ shape: rect, label: "text" }`.
bool take_attributes(Cursor& cursor, std::string_view& text) {
  std::string_view inside;
  if (!cursor.take_until("}", inside)) return false;
  Cursor attributes(inside);
  std::string_view before;
  if (!attributes.take_until("label:", before)) return true;
  attributes.skip_blanks();
  if (attributes.take("\"")) return attributes.take_until("\"", text);
  text = trim(attributes.rest().substr(0, attributes.rest().find(',')));
  return true;
}

bool take_node(Cursor& cursor, MermaidDiagram& diagram, std::string& id) {
  cursor.skip_blanks();
  id = cursor.take_id();
  if (id.empty() || id == "end") return false;
  for (const Shape& shape : kShapes) {
    if (!cursor.take(shape.open)) continue;
    std::string_view text;
    const bool whole =
        shape.open == "@{" ? take_attributes(cursor, text) : take_shape_text(cursor, shape, text);
    if (!whole) return false;
    if (!text.empty()) diagram.labels[id] = trim(text);
    break;
  }
  if (cursor.take(":::") && cursor.take_id().empty()) return false;
  diagram.used.insert(id);
  return true;
}

bool take_group(Cursor& cursor, MermaidDiagram& diagram, std::vector<std::string>& ids) {
  ids.clear();
  while (true) {
    std::string id;
    if (!take_node(cursor, diagram, id)) return false;
    ids.push_back(std::move(id));
    cursor.skip_blanks();
    if (!cursor.take("&")) return true;
  }
}

struct Link {
  bool head = false;
  bool back = false;
  bool visible = true;
  std::string label;
};

// A head after a line: `>`, or an `o` or `x` that begins no id.
bool take_head(Cursor& cursor) {
  if (cursor.take(">")) return true;
  const std::string_view rest = cursor.rest();
  const bool sign = !rest.empty() && (rest.front() == 'o' || rest.front() == 'x') &&
                    (rest.size() == 1 || rest[1] == ' ' || rest[1] == '|');
  if (sign) cursor.skip(1);
  return sign;
}

// `--`, `==` or `-.`, then either its end or a text and a second half.
bool take_line(Cursor& cursor, Link& link) {
  const bool dotted = cursor.rest().starts_with("-.");
  const char c = cursor.front();
  if (c != '-' && c != '=') return false;
  const auto take_half = [&](size_t& length) {
    if (!dotted) return length = cursor.take_run(c), length >= 2;
    length = cursor.take_run('-') + cursor.take_run('.');
    return length >= 1;
  };
  size_t length = 0;
  if (dotted) {
    cursor.skip(1);
    cursor.take_run('.');
    if (cursor.take("-")) return link.head = take_head(cursor), true;
  } else {
    if (!take_half(length)) return false;
    link.head = take_head(cursor);
    if (link.head || length >= 3) return true;
  }
  // The text up to the second half.
  const std::string_view half = dotted ? ".-" : c == '-' ? "--" : "==";
  std::string_view text;
  if (!cursor.take_until(half, text) || trim(text).empty()) return false;
  link.label = trim(text);
  if (!dotted) cursor.take_run(c);
  link.head = take_head(cursor);
  return true;
}

bool take_link(Cursor& cursor, Link& link) {
  cursor.skip_blanks();
  if (cursor.rest().starts_with("~~~")) {
    cursor.take_run('~');
    link.visible = false;
    return true;
  }
  const std::string_view rest = cursor.rest();
  if (rest.size() > 2 && (rest[0] == '<' || rest[0] == 'o' || rest[0] == 'x') &&
      (rest[1] == '-' || rest[1] == '=')) {
    link.back = true;
    cursor.skip(1);
  }
  if (!take_line(cursor, link)) return false;
  cursor.skip_blanks();
  if (!cursor.take("|")) return true;
  std::string_view text;
  if (!cursor.take_until("|", text)) return false;
  link.label = trim(text);
  return true;
}

void add_edges(MermaidDiagram& diagram, const std::vector<std::string>& from,
               const std::vector<std::string>& to, const Link& link) {
  // `A & B & ... --> C & D & ...` is a product: a hostile line must not square.
  constexpr size_t kMaxProduct = 4096;
  if (!link.visible || from.size() * to.size() > kMaxProduct) return;
  for (const std::string& a : from) {
    for (const std::string& b : to) {
      diagram.edges.push_back({a, b, link.label, link.head});
      if (link.back) diagram.edges.push_back({b, a, link.label, true});
    }
  }
}

// `class A,B name`, `style A fill:#fff`, `click A ...`: the ids must be nodes.
bool read_styling(Cursor cursor, MermaidDiagram& diagram) {
  do {
    cursor.skip_blanks();
    const std::string id(cursor.take_id());
    if (id.empty()) return false;
    diagram.used.insert(id);
  } while (cursor.take(","));
  cursor.skip_blanks();
  return !cursor.done();
}

}  // namespace

bool read_flow_statement(std::string_view statement, MermaidDiagram& diagram) {
  for (std::string_view word : {"class ", "style ", "click "}) {
    if (statement.starts_with(word)) {
      return read_styling(Cursor(statement.substr(word.size())), diagram);
    }
  }
  for (std::string_view word :
       {"classDef ", "linkStyle ", "direction ", "accTitle:", "accDescr:"}) {
    if (statement.starts_with(word)) return true;
  }
  Cursor cursor(statement);
  std::vector<std::string> from, to;
  if (!take_group(cursor, diagram, from)) return false;
  while (true) {
    cursor.skip_blanks();
    if (cursor.done()) return true;
    Link link;
    if (!take_link(cursor, link) || !take_group(cursor, diagram, to)) return false;
    add_edges(diagram, from, to, link);
    from = to;
  }
}

}  // namespace ds4::suites

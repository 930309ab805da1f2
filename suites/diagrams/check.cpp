// Every field is judged on what the others leave it: an edge whose end is not there is a missing
// label, not a missing edge, so that one fault loses one field.
#include "suites/diagrams/check.h"

#include <algorithm>
#include <set>

#include "suites/common/answers.h"
#include "suites/common/fences.h"
#include "suites/diagrams/boxes.h"
#include "suites/diagrams/mermaid.h"

namespace ds4::suites {
namespace {

using Pair = std::pair<std::string, std::string>;

std::string quoted(const std::string& text) {
  return "\"" + printable(text, 40) + "\"";
}
std::string arrow(const Pair& pair) {
  return quoted(pair.first) + " to " + quoted(pair.second);
}

Field field(std::string name, std::string miss) {
  const bool hit = miss.empty();
  return {std::move(name), hit, std::move(miss)};
}

// What was drawn, by normalised labels, whatever the form.
struct Drawn {
  std::set<std::string> labels;  // anywhere in the drawing
  std::set<std::string> nodes;   // as a node of its own
  std::vector<Pair> edges;
};

std::set<std::string> normalised(const std::vector<std::string>& labels) {
  std::set<std::string> out;
  for (const std::string& label : labels) out.insert(normalise_words(label));
  return out;
}

std::string missing_label(const WantedDiagram& wanted, const Drawn& drawn) {
  for (const std::string& node : wanted.nodes) {
    if (!drawn.labels.contains(normalise_words(node))) return quoted(node) + " is missing";
  }
  return {};
}

std::string missing_edge(const WantedDiagram& wanted, const Drawn& drawn) {
  bool judged = false;
  size_t after = 0;  // messages of a sequence come in the order asked
  for (const WantedEdge& edge : wanted.edges) {
    const Pair pair{normalise_words(edge.from), normalise_words(edge.to)};
    if (!drawn.nodes.contains(pair.first) || !drawn.nodes.contains(pair.second)) continue;
    judged = true;
    const auto begin = drawn.edges.begin() + static_cast<std::ptrdiff_t>(after);
    const auto found = std::find(begin, drawn.edges.end(), pair);
    if (found == drawn.edges.end()) {
      return "no arrow from " + arrow({edge.from, edge.to}) + (after > 0 ? " at its place" : "");
    }
    if (wanted.form == "sequence") after = static_cast<size_t>(found - drawn.edges.begin()) + 1;
  }
  return judged ? "" : "no arrow has both of its ends";
}

std::string extra_part(const WantedDiagram& wanted, const Drawn& drawn) {
  const std::set<std::string> nodes = normalised(wanted.nodes);
  bool any = false;
  for (const std::string& node : drawn.nodes) {
    if (!nodes.contains(node)) return quoted(node) + " was not asked for";
    any = true;
  }
  std::set<Pair> pairs;
  for (const WantedEdge& edge : wanted.edges) {
    pairs.emplace(normalise_words(edge.from), normalise_words(edge.to));
  }
  for (const Pair& pair : drawn.edges) {
    if (!pairs.contains(pair)) return "an arrow from " + arrow(pair) + " was not asked for";
  }
  return any ? "" : "nothing that was asked for is there";
}

// --- drawings ------------------------------------------------------------------------------------

std::string wrong_glyph(const Canvas& canvas, bool unicode) {
  bool any = false;
  for (int row = 0; row < canvas.rows(); ++row) {
    for (int column = 0; column < canvas.width(row); ++column) {
      const Cell& cell = canvas.at({row, column});
      const char32_t c = cell.glyph;
      const std::string where =
          " in line " + std::to_string(row + 1) + ", column " + std::to_string(column + 1);
      if (c < 0x20 || c == 0x7f) return "a control character" + where;
      if (!unicode && c > 0x7e) return "a character outside ASCII" + where;
      if (c == 0xfffd) return "invalid UTF-8" + where;
      if (unicode && cell.line() && cell.head < 0 && c < 0x80 && c != U'-' && c != U'+') {
        return "an ASCII line" + where;
      }
      any = any || (unicode ? cell.line() && c >= 0x2500 && c < 0x2580 : c == U'+');
    }
  }
  if (canvas.cut()) return "more than 256 lines or columns";
  return any ? "" : unicode ? "no box-drawing character" : "no corner";
}

std::string uneven_width(const Canvas& canvas) {
  int first = -1;
  for (int row = 0; row < canvas.rows(); ++row) {
    if (canvas.width(row) == 0) continue;
    if (first < 0) first = canvas.width(row);
    if (canvas.width(row) != first) {
      return "line " + std::to_string(row + 1) + " is " + std::to_string(canvas.width(row)) +
             " columns wide, the first " + std::to_string(first);
    }
  }
  return first > 0 ? "" : "no line";
}

// The boxes that stand for nodes: of the asked labels the first box each, of others those that no
// asked one lies in (a frame around several is no node).
std::vector<Box> node_boxes(const std::vector<Box>& all, const std::set<std::string>& wanted) {
  std::vector<Box> out;
  std::set<std::string> taken;
  for (const Box& box : all) {
    if (wanted.contains(box.label) && taken.insert(box.label).second) out.push_back(box);
  }
  const size_t asked = out.size();
  for (const Box& box : all) {
    if (box.label.empty() || wanted.contains(box.label)) continue;
    const auto inside = [&](const Box& other) {
      return other.top_left.row > box.top_left.row && other.top_left.column > box.top_left.column &&
             other.bottom_right.row < box.bottom_right.row &&
             other.bottom_right.column < box.bottom_right.column;
    };
    if (std::none_of(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(asked), inside)) {
      out.push_back(box);
    }
  }
  return out;
}

std::vector<Field> check_drawing(const WantedDiagram& wanted, std::string_view text) {
  const bool unicode = wanted.form == "unicode";
  const Canvas canvas(text);
  const std::set<std::string> labels = normalised(wanted.nodes);
  const std::vector<Box> boxes = node_boxes(closed_boxes(canvas), labels);
  Drawn drawn;
  for (const Box& box : boxes) drawn.nodes.insert(box.label);
  drawn.labels = drawn.nodes;
  const std::string words =
      normalise_words(canvas.text({0, 0}, {canvas.rows() - 1, canvas.columns() - 1}));
  std::string unboxed = "no box";
  for (const std::string& node : wanted.nodes) {
    const std::string label = normalise_words(node);
    if (!contains_words(words, label) && !drawn.nodes.contains(label)) continue;
    drawn.labels.insert(label);
    if (unboxed == "no box") unboxed.clear();
    if (!drawn.nodes.contains(label) && unboxed.empty()) {
      unboxed = quoted(node) + " stands in no closed box of its own";
    }
  }
  for (const auto& [from, to] : arrows(canvas, boxes)) {
    drawn.edges.emplace_back(boxes[from].label, boxes[to].label);
  }
  std::vector<Field> fields;
  fields.push_back(field("glyphs", wrong_glyph(canvas, unicode)));
  fields.push_back(field("labels", missing_label(wanted, drawn)));
  fields.push_back(field("boxes", unboxed));
  if (unicode) {
    fields.push_back(field("junctions", boxes.empty() ? "no box" : loose_junction(canvas)));
    fields.push_back(field("width", boxes.empty() ? "no box" : uneven_width(canvas)));
  }
  fields.push_back(field("edges", missing_edge(wanted, drawn)));
  fields.push_back(field("nothing_else", extra_part(wanted, drawn)));
  return fields;
}

// --- Mermaid -------------------------------------------------------------------------------------

std::string shown(const std::string& label) {
  std::string text = label;
  for (size_t at = text.find("<br"); at != text.npos; at = text.find("<br", at)) {
    const size_t end = text.find('>', at);
    text.replace(at, end == text.npos ? 3 : end + 1 - at, " ");
  }
  return normalise_words(text);
}

std::string missing_edge_label(const WantedDiagram& wanted, const MermaidDiagram& diagram) {
  for (const WantedEdge& edge : wanted.edges) {
    const std::string from = normalise_words(edge.from), to = normalise_words(edge.to);
    bool drawn = false, labelled = edge.label.empty();
    for (const MermaidEdge& other : diagram.edges) {
      if (shown(diagram.label(other.from)) != from || shown(diagram.label(other.to)) != to)
        continue;
      drawn = true;
      labelled = labelled || contains_words(shown(other.label), normalise_words(edge.label));
    }
    if (drawn && !labelled) {
      return "the arrow from " + arrow({edge.from, edge.to}) + " is not labelled " +
             quoted(edge.label);
    }
  }
  return diagram.edges.empty() ? "no arrow" : "";
}

std::vector<Field> check_mermaid(const WantedDiagram& wanted, std::string_view text) {
  const MermaidKind kind = wanted.form == "sequence" ? MermaidKind::kSequence
                           : wanted.form == "state"  ? MermaidKind::kState
                                                     : MermaidKind::kFlowchart;
  const MermaidDiagram diagram = read_mermaid(text, kind);
  const std::set<std::string> labels = normalised(wanted.nodes);
  const auto known = [&](const std::string& id) {
    return id == "[*]" || diagram.labels.contains(id) || labels.contains(normalise_words(id));
  };
  std::string undefined = diagram.edges.empty() ? "no arrow" : "";
  Drawn drawn;
  for (const std::string& id : diagram.used) {
    if (id == "[*]") continue;
    if (known(id)) {
      drawn.nodes.insert(shown(diagram.label(id)));
    } else if (undefined.empty()) {
      undefined = quoted(id) + " is used but nowhere defined";
    }
  }
  for (const auto& [id, label] : diagram.labels) drawn.nodes.insert(shown(label));
  drawn.labels = drawn.nodes;
  for (const MermaidEdge& edge : diagram.edges) {
    if (!edge.head || edge.from == "[*]" || edge.to == "[*]") continue;
    if (!known(edge.from) || !known(edge.to)) continue;
    drawn.edges.emplace_back(shown(diagram.label(edge.from)), shown(diagram.label(edge.to)));
  }
  std::vector<Field> fields;
  fields.push_back(field("header", diagram.header ? "" : "the first line names no " + wanted.form));
  fields.push_back(field(
      "syntax", diagram.edges.empty() && diagram.problem.empty() ? "no arrow" : diagram.problem));
  fields.push_back(field("labels", missing_label(wanted, drawn)));
  fields.push_back(field("edges", missing_edge(wanted, drawn)));
  if (std::any_of(wanted.edges.begin(), wanted.edges.end(),
                  [](const WantedEdge& edge) { return !edge.label.empty(); })) {
    fields.push_back(field("edge_labels", missing_edge_label(wanted, diagram)));
  }
  fields.push_back(field("defined", undefined));
  fields.push_back(field("nothing_else", extra_part(wanted, drawn)));
  return fields;
}

}  // namespace

std::vector<Field> check_diagram(const WantedDiagram& wanted, std::string_view answer,
                                 std::string_view& diagram) {
  const bool mermaid = wanted.form != "ascii" && wanted.form != "unicode";
  const std::vector<FencedBlock> blocks = fenced_blocks(answer);
  diagram = answer;
  std::string fence = "the answer has no fenced block";
  if (!blocks.empty()) {
    const auto tagged = std::find_if(blocks.begin(), blocks.end(), [](const FencedBlock& block) {
      return lower_case(block.tag) == "mermaid";
    });
    const FencedBlock& block = mermaid && tagged != blocks.end() ? *tagged : blocks.front();
    diagram = block.body;
    fence = blocks.size() > 1                               ? "the answer has several fenced blocks"
            : !block.closed                                 ? "the block is not closed"
            : mermaid && lower_case(block.tag) != "mermaid" ? "the block is not tagged mermaid"
                                                            : "";
  }
  std::vector<Field> fields =
      mermaid ? check_mermaid(wanted, diagram) : check_drawing(wanted, diagram);
  fields.insert(fields.begin(), field("fence", fence));
  return fields;
}

}  // namespace ds4::suites

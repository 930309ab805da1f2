// Mermaid's text form read by its rules: flowcharts, sequence and state diagrams. Draws nothing;
// statements of these kinds that only style a diagram are read and dropped.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace ds4::suites {

enum class MermaidKind { kFlowchart, kSequence, kState };

struct MermaidEdge {
  std::string from, to;  // ids
  std::string label;     // as written; empty = none
  bool head = false;     // points to `to`; false: a line without a head
};

struct MermaidDiagram {
  bool header = false;                        // the first statement names the wanted kind
  std::map<std::string, std::string> labels;  // by id: text given to a node, participant or state
  std::set<std::string> used;                 // ids that edges, styles and notes name
  std::vector<MermaidEdge> edges;             // in order; one for each pair of an `A & B --> C`
  int statements = 0;                         // without the header and comments
  std::string problem;  // the first thing that breaks the grammar; empty = none

  /// The label of an id, or the id itself: Mermaid shows it then.
  const std::string& label(const std::string& id) const;
};

/// Reads a diagram of that kind. A missing header is noted and the rest read all the same; what
/// breaks the grammar is noted and the statement skipped. Front matter, `%%` comments and `;`
/// between statements are known. Linear in the text.
MermaidDiagram read_mermaid(std::string_view text, MermaidKind kind);

}  // namespace ds4::suites

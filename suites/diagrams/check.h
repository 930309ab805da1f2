// Which fields of its rubric a diagram hits. The diagram is read by boxes.h or mermaid.h; here it
// is compared with what was asked for.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "suites/common/rubric.h"

namespace ds4::suites {

struct WantedEdge {
  std::string from, to;
  std::string label;  // empty = none asked for
};

struct WantedDiagram {
  std::string form;  // ascii, unicode, flowchart, sequence, state
  std::vector<std::string> nodes;
  std::vector<WantedEdge> edges;
};

/// The fields of an answer, as suites/diagrams/README.md lists them. `diagram` is set to the text
/// that was read: the fenced block, or the whole answer when there is none.
std::vector<Field> check_diagram(const WantedDiagram& wanted, std::string_view answer,
                                 std::string_view& diagram);

}  // namespace ds4::suites

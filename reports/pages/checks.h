// What a CI system is told about a page or a comparison: named checks, each kept, broken or open;
// as JUnit XML. Markdown for a step summary is render_markdown() of the same model.
#pragma once

#include <string>
#include <vector>

#include "reports/pages/page.h"

namespace ds4::reports {

struct Check {
  std::string group;  // the cell
  std::string name;   // "needle exact ≥ 0.980"
  Decision decision = Decision::kPass;
  std::string message;  // one sentence
  std::string detail;   // of a check that is not kept: a log's last lines; may be long and hostile
  double seconds = 0;
};

struct CheckList {
  std::string name;        // the profile
  std::string started_at;  // ISO 8601, UTC
  std::vector<Check> checks;
  std::string output;  // what belongs to no single check, such as wrong answers
};

/// A check per gate and cell, and one per cell that says whether all of it was measured.
CheckList checks_of(const Page& page);

/// JUnit XML: a broken check is a failure, an open one an error. XML 1.0 whatever the texts hold.
std::string render_junit(const CheckList& list);

}  // namespace ds4::reports

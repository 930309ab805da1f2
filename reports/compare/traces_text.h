// Compared traces as a section of a page and as JSON; for the .cpp files of this folder.
#pragma once

#include <string>
#include <vector>

#include "reports/compare/traces.h"
#include "reports/pages/page.h"

namespace ds4::reports {

Section traces_section(const std::vector<TraceChange>& changes);

/// A JSON list; docs/schema.md describes it.
std::string traces_json(const std::vector<TraceChange>& changes);

}  // namespace ds4::reports

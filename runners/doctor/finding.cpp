#include "runners/doctor/finding.h"

#include <algorithm>

#include "engine/base/check.h"

namespace ds4::runners::doctor {

const char* level_name(Level level) {
  switch (level) {
    case Level::kOk:
      return "ok";
    case Level::kNote:
      return "note";
    case Level::kWarning:
      return "warning";
    case Level::kProblem:
      return "problem";
  }
  DS4_CHECK(false, "a level without a name");
}

Level worst(const Findings& findings) {
  Level level = Level::kOk;
  for (const Finding& finding : findings) level = std::max(level, finding.level);
  return level;
}

int exit_code(const Findings& findings, bool strict) {
  return worst(findings) >= (strict ? Level::kWarning : Level::kProblem) ? 1 : 0;
}

}  // namespace ds4::runners::doctor

// From the evidence of a launch to the one class that names it: a table of rules, of which the
// first that fits wins. Pure: the same evidence gives the same name, so that it can be tested
// without a crash.
#pragma once

#include <string>
#include <vector>

#include "runners/outcome/evidence.h"

namespace ds4::runners::outcome {

struct Finding {
  std::string outcome;             // a class of reports/outcomes
  std::string message;             // why, with the last lines of the log where they help
  std::vector<std::string> notes;  // what was seen besides, one line each: "DRIVER_NOMEM: ..."
};

/// Always names a class. Evidence that no rule fits would be a bug of ours and is named
/// HARNESS_ERROR.
Finding classify(const Evidence& evidence);

}  // namespace ds4::runners::outcome

// docs/faults.md: the table of faults, what catches them and what answers would have shown.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/faults/answers.h"
#include "tests/faults/fault.h"

namespace ds4::faults {

/// The whole page. `reports[i]` belongs to `faults[i]`.
std::string table(const std::vector<Fault>& faults, const std::vector<SelftestReport>& reports,
                  const std::map<std::string, Answered>& answers);

/// The page without the sizes of errors, which differ in their last digits between machines.
std::string without_sizes(const std::string& page);

}  // namespace ds4::faults

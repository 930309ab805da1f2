// What is to be known of this machine before a launch, read in a process of its own: a GPU cannot
// be asked without taking some of its memory, which is given back only when the process ends.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "probes/sentinel.h"
#include "profiles/schema/machine.h"

namespace ds4::runners::sweep {

struct Observation {
  profiles::Machine machine;                        // fit::this_machine()
  std::optional<probes::SentinelReading> sentinel;  // when asked for
};

/// One line of JSON and back. Throws Error(kMachine) for text that is none.
std::string encode(const Observation& observation);
Observation decode_observation(std::string_view line);

/// Starts `ds4-sweep sentinel` for a device ("cpu", "cuda") and waits for its line, a minute at
/// most. Throws Error(kMachine) with what it said when there is no answer.
Observation observe(const std::string& device, bool with_sentinel);

}  // namespace ds4::runners::sweep

// Whether a prediction fits a machine, and by how much.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "profiles/schema/machine.h"
#include "runners/fit/prediction.h"

namespace ds4::runners::fit {

enum class Fit {
  kFits,
  kTight,  // fits, but by less than the prediction may be off
  kDoesNotFit,
};
/// "fits", "tight", "does not fit".
const char* fit_name(Fit fit);

struct Verdict {
  Fit fit = Fit::kFits;
  std::string memory;          // the one that is nearest to its end: "memory", "GPU memory"
  Phase phase = Phase::kLoad;  // in which least is left of it
  int64_t need = 0;            // there and then
  int64_t usable = 0;          // total less what is held and the floor, then
  int64_t margin() const { return usable - need; }
};

/// What must stay free of the memory that processors use, in each of kPhases.
using Floors = std::array<int64_t, kPhases.size()>;

/// What is kept free while the cell runs: `limits.memory_floor` or else the machine's floor, and
/// what its guard ends it for, whichever is more.
Floors floors_of(const profiles::Profile& cell, const profiles::Machine& machine);

/// Without `floors` the machine's own floor holds in every phase. Throws Error(kUsage) when the
/// prediction takes a memory that the machine's model does not describe at all.
Verdict judge(const Prediction& prediction, const profiles::Machine& machine,
              const std::optional<Floors>& floors = std::nullopt);

}  // namespace ds4::runners::fit

// Whether a prediction fits a machine, and by how much.
#pragma once

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
  Phase phase = Phase::kLoad;  // in which it is fullest
  int64_t need = 0;            // there and then
  int64_t usable = 0;          // total less what is held and the floor
  int64_t margin() const { return usable - need; }
};

/// `floor` replaces the floor of the memory that processors use. Throws Error(kUsage) when the
/// prediction takes a memory that the machine's model does not describe at all.
Verdict judge(const Prediction& prediction, const profiles::Machine& machine,
              std::optional<int64_t> floor = std::nullopt);

}  // namespace ds4::runners::fit

// Which cells need not be tried, since one that needs no more ran out of memory; pure.
#pragma once

#include <string>
#include <vector>

#include "profiles/schema/profile.h"
#include "reports/store/store.h"
#include "runners/fit/prediction.h"
#include "runners/guard/rules.h"

namespace ds4::runners::sweep {

/// A launch that ended because memory ran out, or because a guard saw that it would; not one whose
/// work was done when the guard fired. What needs as much would end the same way.
bool ran_out_of_memory(const reports::LaunchRow& launch);

/// The machine itself stopped under it: launching that cell again unasked could stop it again.
bool took_the_machine_down(const reports::LaunchRow& launch);

/// What is known of a cell's need of memory.
struct Need {
  const profiles::Profile& profile;
  const fit::Prediction& prediction;  // empty for targets without an engine
  const std::vector<reports::PlannedCase>& cases;
  guard::Limits limits;  // of its guard on this machine
};

/// True when `cell` needs at least as much as `other`, which ran out of memory in `launch`:
/// the same target and device; a guard that would have acted as early, where a guard ended it; at
/// least as many bytes in every owner that was predicted, or,
/// where nothing is predicted, the same checkpoint with no setting smaller; and, unless it happened
/// while loading, a case at least as long as the one that was being answered.
bool needs_as_much(const Need& cell, const Need& other, const reports::LaunchRow& launch);

}  // namespace ds4::runners::sweep

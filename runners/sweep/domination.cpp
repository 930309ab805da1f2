#include "runners/sweep/domination.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "reports/outcomes/outcome.h"

namespace ds4::runners::sweep {
namespace {

using fit::Owner;
using fit::Place;
using reports::PlannedCase;

bool at_least_in_every_owner(const fit::Prediction& cell, const fit::Prediction& other) {
  std::map<std::pair<std::string, Place>, int64_t> bytes;
  for (const Owner& owner : cell.owners) bytes[{owner.name, owner.place}] += owner.bytes;
  for (const Owner& owner : other.owners) bytes[{owner.name, owner.place}] -= owner.bytes;
  return std::all_of(bytes.begin(), bytes.end(), [](const auto& left) { return left.second >= 0; });
}

// Bytes of a number kept in this format; the wider, the more memory.
int width(const std::string& dtype) {
  return dtype == "fp4" ? 1 : dtype == "fp8" ? 2 : 4;
}

bool no_setting_smaller(const profiles::Profile& cell, const profiles::Profile& other) {
  const profiles::EngineSection &a = cell.engine, &b = other.engine;
  return cell.checkpoint == other.checkpoint && a.context_length >= b.context_length &&
         a.prefill_chunk >= b.prefill_chunk && a.sequences >= b.sequences &&
         a.draft_tokens >= b.draft_tokens && width(a.kv_dtype) >= width(b.kv_dtype) &&
         width(a.index_dtype) >= width(b.index_dtype);
}

// Whatever made the guard of `other` act makes that of `cell` act no later: a guard with a lower
// floor lets the same need pass.
bool guarded_as_strictly(const Need& cell, const Need& other) {
  const profiles::GuardSection &a = cell.profile.guard, &b = other.profile.guard;
  return a.enabled && a.target == b.target && cell.limits.rate_hz >= other.limits.rate_hz &&
         cell.limits.reaction_s >= other.limits.reaction_s &&
         std::equal(cell.limits.floor_bytes.begin(), cell.limits.floor_bytes.end(),
                    other.limits.floor_bytes.begin(), std::greater_equal<>());
}

int64_t length_of(const PlannedCase& planned) {
  const auto tag = planned.tags.find("length");
  int64_t length = 0;
  if (tag != planned.tags.end()) {
    std::from_chars(tag->second.data(), tag->second.data() + tag->second.size(), length);
  }
  return length;
}

// `phase` names the cases that were being answered: "needle/2048/d0.50", perhaps several, perhaps
// behind the name of a phase.
bool named_in(const PlannedCase& planned, const std::string& phase) {
  const std::string name = planned.suite + "/" + planned.case_id;
  for (size_t at = phase.find(name); at != phase.npos; at = phase.find(name, at + 1)) {
    const size_t end = at + name.size();
    if ((at == 0 || phase[at - 1] == ' ') && (end == phase.size() || phase[end] == ','))
      return true;
  }
  return false;
}

bool asks_as_much(const Need& cell, const Need& other, const std::string& phase) {
  return std::all_of(other.cases.begin(), other.cases.end(), [&](const PlannedCase& asked) {
    if (!named_in(asked, phase)) return true;
    return std::any_of(cell.cases.begin(), cell.cases.end(), [&](const PlannedCase& planned) {
      if (planned.suite != asked.suite) return false;
      return planned.case_id == asked.case_id ||
             (length_of(asked) > 0 && length_of(planned) >= length_of(asked));
    });
  });
}

}  // namespace

bool ran_out_of_memory(const reports::LaunchRow& launch) {
  return reports::ran_out_of_memory(launch.outcome) ||
         (reports::is_watchdog_kill(launch.outcome) &&
          launch.outcome.find("teardown") == launch.outcome.npos);
}

bool took_the_machine_down(const reports::LaunchRow& launch) {
  return launch.outcome == "HOST_RESET" || launch.outcome == "HOST_WEDGE";
}

bool needs_as_much(const Need& cell, const Need& other, const reports::LaunchRow& launch) {
  const profiles::Profile &a = cell.profile, &b = other.profile;
  if (a.target != b.target || a.script != b.script || a.engine.device != b.engine.device ||
      a.engine.residency != b.engine.residency) {
    return false;
  }
  if (reports::is_watchdog_kill(launch.outcome) && !guarded_as_strictly(cell, other)) return false;
  const bool predicted = !cell.prediction.owners.empty() && !other.prediction.owners.empty();
  if (predicted ? !at_least_in_every_owner(cell.prediction, other.prediction)
                : !no_setting_smaller(a, b)) {
    return false;
  }
  return asks_as_much(cell, other, launch.phase);
}

}  // namespace ds4::runners::sweep

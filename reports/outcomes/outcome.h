// Every way a launch or an attempt can end, by name: whom the verdict is about, what it means and
// what to do. The one table that stores, reports and gates read; who finds a class out, and from
// which evidence, is runners/outcome. docs/outcomes.md shows it.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace ds4::reports {

/// What a class says about the measurement it names.
enum class Effect {
  kMeasured,  // there is a result, good or bad
  kInvalid,   // there is a number, but not one to use
  kOpen,      // no result and nobody to blame: it is to be run (again)
  kFailed,    // no result, and that is the finding
};

/// What ends with the class: a worker process, one answer, or either.
enum class Level { kLaunch, kAttempt, kBoth };

struct OutcomeClass {
  std::string_view name;   // as stored: "LOAD_OOM", "WATCHDOG_KILL{prefill}", "ok"
  std::string_view scope;  // what the verdict is about: "configuration", "engine", ...
  Level level;
  Effect effect;
  std::string_view meaning;  // one sentence
  std::string_view remedy;   // one sentence: what to do
};

/// Every class, launches first.
std::span<const OutcomeClass> outcome_classes();

/// The class of that name. A name this build does not know (of a newer one, or "" of rows that were
/// stored before classes were) has the fields of an unclassified end: effect kOpen, and the text
/// says so.
const OutcomeClass& outcome_class(std::string_view name);

/// The machine or the GPU had no memory left: LOAD_OOM, CAPTURE_OOM, PREFILL_OOM, DECODE_OOM,
/// HOST_OOM. What needs at least as much will end the same way.
bool ran_out_of_memory(std::string_view name);

/// Some WATCHDOG_KILL{phase}; a kill in teardown is one too, though it spoilt nothing.
bool is_watchdog_kill(std::string_view name);

}  // namespace ds4::reports

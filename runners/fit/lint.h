// Settings that froze, garbled or slowed somebody's machine, or spoilt a published figure: one rule
// each, with its source. Findings are warnings; whether a cell fits is verdict.h's business.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "profiles/schema/machine.h"
#include "profiles/schema/profile.h"
#include "runners/fit/prediction.h"
#include "runners/fit/verdict.h"

namespace ds4::runners::fit {

/// What a rule sees: a cell, and how it fits the machine that was asked about, if one was.
struct Subject {
  const profiles::Profile& cell;
  const profiles::Machine* machine = nullptr;  // null without one, like the other two
  const Prediction* prediction = nullptr;
  const Verdict* verdict = nullptr;
};

/// The setting that ends a finding, as --set takes it: `key` = `value` (TOML).
struct Change {
  std::string key, value;
};

/// Texts are those of docs/lint.md, which a test holds against them.
struct Rule {
  const char* id;
  const char* keys;  // what it looks at
  const char* when;  // when it fires
  const char* why;   // what happened to others
  const char* source;
  bool needs_machine;  // silent without --machine
  std::optional<Change> (*check)(const Subject&);
};

struct Finding {
  const Rule* rule;
  Change change;
};

/// Every rule, in the order of findings.
std::span<const Rule> lint_rules();

/// The rules about [launch] alone.
std::span<const Rule> launch_rules();

/// The rules that fire; of a target without an engine only those about [launch] can. Reads
/// config.json of the checkpoint, and throws Error(kCheckpoint) when it cannot.
std::vector<Finding> lint(const Subject& subject);

/// Those about [launch] alone. A checkpoint that is not there is no error: what needs it is silent.
std::vector<Finding> lint_launch(const Subject& subject);

}  // namespace ds4::runners::fit

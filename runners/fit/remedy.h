// Which single setting makes a cell fit, and what it must become.
#pragma once

#include <string>
#include <vector>

#include "profiles/schema/machine.h"
#include "profiles/schema/profile.h"

namespace ds4::runners::fit {

struct Remedy {
  std::string key;    // as in [sweep] and --set: "engine.context_length"
  std::string value;  // as in TOML: 131072, "fp8"
  bool changes_answers = false;
};

/// For a cell that does not fit or is tight: every key that alone makes it fit, each with the value
/// nearest to the cell's, those that change no answer first; a smaller synthetic checkpoint only
/// when nothing else does. Empty when no key is enough.
std::vector<Remedy> remedies(const profiles::Profile& cell, const profiles::Machine& machine);

}  // namespace ds4::runners::fit

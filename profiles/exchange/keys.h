// The keys of the published .env profiles and what each is here: one table for import and export.
#pragma once

#include <string>

#include "profiles/exchange/draft.h"
#include "profiles/schema/profile.h"

namespace ds4::profiles {

/// Takes one key of a .env file into the draft, or notes why not. `from` has place, key and value.
void take_key(Draft& draft, const Note& from);

/// The same for a flag of a server's command line, as recipes name them ("max-model-len").
void take_flag(Draft& draft, const LaunchFlag& flag, const Note& from);

/// The keys that a profile has a value for, in the table's order; environment, start script's keys
/// and EXTRA_ARGS with the remaining flags at the end. Flags that EXTRA_ARGS cannot hold, since it
/// is split at spaces, go to `left_out` as they would stand on a command line.
LaunchPairs env_keys(const Profile& profile, std::vector<std::string>& left_out);

/// Takes "K160" or "k160-" from a name: 160; 0 when there is none.
int experts_in(const std::string& name);

}  // namespace ds4::profiles

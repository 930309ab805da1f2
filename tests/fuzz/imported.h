// What holds for every draft of an import, whatever bytes it came from.
#pragma once

#include "profiles/exchange/env_file.h"
#include "profiles/exchange/export.h"
#include "profiles/exchange/import.h"
#include "profiles/schema/profile.h"
#include "tests/fuzz/fuzz.h"

namespace ds4::fuzz {

inline std::string round(const std::string& env, const std::string& origin) {
  return profiles::export_env(
      profiles::parse_profile("p.toml", profiles::to_toml(profiles::import_env(env, origin))));
}

/// The draft's profile loads or is refused (bytes that are no text), and what it exports is read
/// back and exported as the same.
inline void check_import(const profiles::Draft& draft) {
  const std::string toml = profiles::to_toml(draft);
  refuses([&] {
    const profiles::Profile profile = profiles::parse_profile("p.toml", toml);
    const std::string env = profiles::export_env(profile);
    for (const auto& entry : profiles::parse_env(env, "again").entries) {
      require(entry.problem.empty(), "an exported value is plain");
    }
    const std::string again = round(env, draft.origin);
    require(round(again, draft.origin) == again, "what a .env file can say survives a round");
    refuses([&] { profiles::export_command(profile); });
    refuses([&] { profiles::export_compose(profile); });
  });
}

}  // namespace ds4::fuzz

// load_profile() with the suites given, so that tests need no real suite.
#pragma once

#include <span>

#include "profiles/schema/profile.h"

namespace ds4::profiles {

Profile load_profile_with(const std::filesystem::path& path,
                          const std::vector<std::string>& overrides,
                          std::span<const suites::Definition* const> definitions);

}  // namespace ds4::profiles

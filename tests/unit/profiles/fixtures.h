// A made-up suite and a profile written to a temporary folder, for the tests of profiles/.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "profiles/schema/load.h"
#include "profiles/schema/plan.h"

namespace ds4::profiles {

inline const char kNeedleToml[] = R"(
name = "needle"
version = 3
description = "made up"
scores = ["exact", "near"]
[defaults]
lengths = [512, 2048]
depths = [0.0, 0.5]
style = "bare"
cases = 4
share = 0.5
thinking = false
kinds = ["a", "b"]
)";

inline const char kSmokeToml[] = R"(
name = "smoke"
version = 1
description = "made up"
scores = ["right"]
)";

/// Loads profile texts with the two suites above; nothing outside the folder is read.
class ProfileLoader {
 public:
  ProfileLoader()
      : definitions_{parse_suite_definition(kNeedleToml, "needle"),
                     parse_suite_definition(kSmokeToml, "smoke")} {
    std::string name = (std::filesystem::temp_directory_path() / "ds4-test-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~ProfileLoader() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  std::filesystem::path path() const { return folder_ / "p.toml"; }

  Profile load(const std::string& text, const std::vector<std::string>& overrides = {}) const {
    write_file_atomic(path(), text);
    const suites::Definition* definitions[] = {&definitions_[0], &definitions_[1]};
    return load_profile_with(path(), overrides, definitions);
  }

  /// The error of loading, with the folder cut off the message: "p.toml:3: ...".
  Error error(const std::string& text, const std::vector<std::string>& overrides = {}) const {
    try {
      load(text, overrides);
    } catch (const Error& e) {
      std::string what = e.what();
      const std::string prefix = folder_.string() + "/";
      if (what.starts_with(prefix)) what = what.substr(prefix.size());
      return Error(e.code(), what, e.hint());
    }
    return Error(ErrorCode::kUsage, "no error");
  }

 private:
  std::vector<suites::Definition> definitions_;
  std::filesystem::path folder_;
};

}  // namespace ds4::profiles

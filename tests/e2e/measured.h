// A profile with whatever target, measured by the real program, and what was stored of it.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "engine/base/files.h"
#include "reports/store/store.h"
#include "tests/support/command.h"
#include "tests/support/source_dir.h"

namespace ds4::test_support {

using Attempts = std::map<std::string, reports::AttemptRow>;

inline const char* const kSmall = R"(
[[suite]]
name = "smoke"
[[suite]]
name = "arithmetic"
cases = 4
)";

// A run of that profile text, checkpoint included.
struct Measured {
  explicit Measured(const std::string& head, const std::string& suites = kSmall) {
    const std::string profile = folder / "profile.toml", db = folder / "results.db";
    write_file_atomic(profile, "name = \"e2e\"\ndescription = \"started\"\ncheckpoint = \"" +
                                   (source_dir() / "checkpoints/tiny").string() + "\"\n" + head +
                                   suites);
    run = run_command({DS4_SWEEP_BINARY, "run", profile, "--db", db, "--no-progress"});
    if (!std::filesystem::exists(db)) return;
    store = reports::Store::open_read_only(db);
    const std::string id = store->run("latest").id;
    for (auto& row : store->attempts(id, true)) {
      attempts[row.suite + "/" + row.case_id] = std::move(row);
    }
    const auto launches = store->launches(id);
    if (!launches.empty()) launch = launches.front();
    for (const auto& [cell, number, sample] : store->launch_samples(id)) {
      samples[sample.metric] = sample.value;
    }
  }

  TemporaryFolder folder;
  CommandResult run;
  std::unique_ptr<reports::Store> store;
  Attempts attempts;
  reports::LaunchRow launch;
  std::map<std::string, double> samples;  // of the launch: the last of each metric
};

}  // namespace ds4::test_support

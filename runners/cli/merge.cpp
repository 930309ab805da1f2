// `merge`: joins databases; shards of one sweep become one run.
#include "reports/store/merge.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "runners/cli/verbs.h"

namespace ds4::cli {
namespace {

struct Options {
  std::string out;
  std::vector<std::filesystem::path> databases;
  reports::MergeOptions merge;
};

std::string missing_text(const reports::MergedSweep& sweep) {
  std::string text;
  for (const int shard : sweep.missing) {
    text += (text.empty() ? "" : ", ") + std::to_string(shard) + "/" + std::to_string(sweep.shards);
  }
  return text;
}

nlohmann::json to_json(const reports::MergeResult& result) {
  nlohmann::json sweeps = nlohmann::json::array();
  for (const reports::MergedSweep& sweep : result.sweeps) {
    sweeps.push_back({{"run", sweep.run_id},
                      {"profile", sweep.profile_name},
                      {"sweep_id", sweep.sweep_id},
                      {"shards", sweep.shards},
                      {"missing", sweep.missing},
                      {"cells", sweep.cells},
                      {"machines", sweep.machines},
                      {"changed", sweep.changed}});
  }
  return {{"format", "ds4-sweep merge 1"},
          {"runs", result.runs},
          {"added", result.added},
          {"grown", result.grown},
          {"attempts_added", result.attempts_added},
          {"sweeps", sweeps}};
}

void print(const reports::MergeResult& result, const std::string& out) {
  std::printf("%s: %d runs and shards, %d new, %d with new rows; %lld answers added\n", out.c_str(),
              result.runs, result.added, result.grown,
              static_cast<long long>(result.attempts_added));
  for (const reports::MergedSweep& sweep : result.sweeps) {
    const size_t there = static_cast<size_t>(sweep.shards) - sweep.missing.size();
    std::printf("%s  %s%s%s: %zu of %d shards, %d cells, %d kind%s of machine\n",
                sweep.run_id.substr(0, 8).c_str(), sweep.profile_name.c_str(),
                sweep.sweep_id.empty() ? "" : " ", sweep.sweep_id.c_str(), there, sweep.shards,
                sweep.cells, sweep.machines, sweep.machines == 1 ? "" : "s");
    if (!sweep.missing.empty()) {
      std::printf(
          "          missing: %s. Merge again when they are there, or run their cells here: "
          "ds4-sweep resume %s --db %s\n",
          missing_text(sweep).c_str(), sweep.run_id.substr(0, 8).c_str(), out.c_str());
    }
  }
}

}  // namespace

void add_merge(CLI::App& app, Common& common) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("merge", "Join databases; shards of a sweep become one run");
  verb->footer(
      "Examples:\n"
      "  ds4-sweep merge all.db shard-1.db shard-2.db shard-3.db\n"
      "  ds4-sweep merge history.db runs/results.db      a night's runs to those before\n"
      "OUT is made when missing and changed all at once. Doing it again changes nothing.\n"
      "docs/fleet.md says what belongs together and what is refused.");
  verb->add_option("OUT", options->out, "Database to add to")->required();
  verb->add_option("DB", options->databases, "Databases to read")->required();
  verb->add_flag("--keep-repeats", options->merge.keep_repeats,
                 "Keep a cell that was measured twice as repeats of its cases");
  verb->add_flag("--force", options->merge.force, "Even if shards differ in commit or checkpoint");
  verb->add_flag("--json", common.json, "Print as JSON");
  verb->callback([options, &common] {
    const reports::MergeResult result =
        reports::merge_databases(options->out, options->databases, options->merge);
    if (common.json) {
      std::puts(to_json(result).dump(2).c_str());
    } else {
      print(result, options->out);
    }
  });
}

}  // namespace ds4::cli

// `prune`: old runs out of a database, their reports with them; baselines stay.
#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/base/clock.h"
#include "engine/base/units.h"
#include "reports/store/prune.h"
#include "runners/cli/verbs.h"

namespace ds4::cli {
namespace {

namespace fs = std::filesystem;

struct PruneOptions {
  int64_t keep = 30;
  int64_t older_than_days = 0;
  bool unfinished = false, dry_run = false;
};

// As runs have it, so that the two compare as text.
std::string days_ago(int64_t days) {
  using namespace std::chrono;
  const std::string now = utc_now();  // 2026-03-01T12:34:56.789Z
  const sys_days today{year{std::stoi(now.substr(0, 4))} /
                       month{static_cast<unsigned>(std::stoi(now.substr(5, 2)))} /
                       day{static_cast<unsigned>(std::stoi(now.substr(8, 2)))}};
  const year_month_day then{today - std::chrono::days{days}};
  std::array<char, 48> date{};
  std::snprintf(date.data(), date.size(), "%04d-%02u-%02u", static_cast<int>(then.year()),
                static_cast<unsigned>(then.month()), static_cast<unsigned>(then.day()));
  return date.data() + now.substr(10);
}

bool is_ours(const std::string& name) {
  return name == "report.html" || name == "report.md" || name == "report.json" ||
         (name.starts_with("telemetry-") && name.ends_with(".jsonl"));
}

// The files a run leaves beside its database, and their folder when nothing else is in it.
void remove_files(const fs::path& database, const std::string& run_id) {
  const fs::path folder = database.parent_path() / run_id.substr(0, 8);
  std::error_code error;
  if (fs::is_symlink(folder, error) || !fs::is_directory(folder, error)) return;
  std::vector<fs::path> ours;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (is_ours(entry.path().filename().string())) ours.push_back(entry.path());
  }
  for (const fs::path& file : ours) fs::remove(file, error);
  fs::remove(folder, error);  // stays when it is not empty
}

void print_json(const std::vector<reports::RunRow>& runs, const reports::Pruned& pruned,
                bool dry_run) {
  nlohmann::ordered_json object;
  object["format"] = "ds4-prune-1";
  object["dry_run"] = dry_run;
  object["runs"] = nlohmann::ordered_json::array();
  for (const reports::RunRow& run : runs) {
    object["runs"].push_back(
        {{"id", run.id}, {"profile", run.profile_name}, {"started_at", run.started_at}});
  }
  object["rows"] = pruned.rows;
  object["texts"] = pruned.texts;
  object["bytes_before"] = pruned.bytes_before;
  object["bytes_after"] = pruned.bytes_after;
  object["not_shrunk"] = pruned.not_shrunk;
  std::puts(object.dump(2).c_str());
}

void print_text(const std::vector<reports::RunRow>& runs, const reports::Pruned& pruned,
                bool dry_run) {
  for (const reports::RunRow& run : runs) {
    std::printf("%s  %s  %s\n", run.id.substr(0, 8).c_str(), run.started_at.c_str(),
                run.profile_name.c_str());
  }
  const char* what = runs.size() == 1 ? "run" : "runs";
  if (dry_run) {
    std::printf("%zu %s would be removed; nothing was changed\n", runs.size(), what);
    return;
  }
  std::printf("%zu %s removed: %s rows, %s texts; the database has %s, had %s\n", runs.size(), what,
              format_count(pruned.rows).c_str(), format_count(pruned.texts).c_str(),
              format_bytes(pruned.bytes_after).c_str(), format_bytes(pruned.bytes_before).c_str());
  if (!pruned.not_shrunk.empty()) {
    std::printf("not shrunk, its room is used again: %s\n", pruned.not_shrunk.c_str());
  }
}

}  // namespace

void add_prune_runs(CLI::App& app, Common& common) {
  auto options = std::make_shared<PruneOptions>();
  CLI::App* verb = app.add_subcommand("prune", "Remove old runs from the database; baselines stay");
  verb->footer(
      "Examples:\n"
      "  ds4-sweep prune --keep 30 --older-than-days 90 --dry-run\n"
      "  ds4-sweep prune --keep 30\n"
      "Safe to kill at any moment. To keep what goes, join it elsewhere first:\n"
      "  ds4-sweep merge archive.db runs/results.db");
  verb->add_option("--keep", options->keep, "The newest so many runs of every profile stay")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  verb->add_option("--older-than-days", options->older_than_days,
                   "Only runs that began so many days ago or earlier")
      ->check(CLI::Range(0, 36500));
  verb->add_flag("--unfinished", options->unfinished,
                 "Also runs that were never finished (is none of them running?)");
  verb->add_flag("--dry-run", options->dry_run, "Only print what would go");
  verb->add_option("--db", common.db, "Database file")
      ->envname("DS4_SWEEP_DB")
      ->capture_default_str();
  verb->add_flag("--json", common.json, "Print as JSON");
  verb->callback([options, &common] {
    std::vector<reports::RunRow> runs;
    {
      const auto store = options->dry_run ? reports::Store::open_read_only(common.db)
                                          : reports::Store::open(common.db);
      const std::string before =
          options->older_than_days > 0 ? days_ago(options->older_than_days) : "";
      runs = reports::runs_to_prune(store->runs(), store->baselines(),
                                    {options->keep, before, options->unfinished});
    }
    reports::Pruned pruned;
    if (!options->dry_run && !runs.empty()) {
      std::vector<std::string> ids;
      for (const reports::RunRow& run : runs) {
        // Files first: after a kill in between the run is still there to be pruned again.
        remove_files(common.db, run.id);
        ids.push_back(run.id);
      }
      pruned = reports::prune(common.db, ids);
    }
    common.json ? print_json(runs, pruned, options->dry_run)
                : print_text(runs, pruned, options->dry_run);
  });
}

}  // namespace ds4::cli

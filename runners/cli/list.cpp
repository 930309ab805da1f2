// `list`: what there is to choose from.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "probes/metric.h"
#include "profiles/schema/profile.h"
#include "reports/published/published.h"
#include "reports/store/store.h"
#include "runners/cli/verbs.h"
#include "runners/targets/registry.h"
#include "suites/suite.h"

namespace ds4::cli {
namespace {

using Rows = std::vector<std::pair<std::string, std::string>>;

Rows list_suites(const Common&) {
  Rows rows;
  for (const suites::Suite* suite : suites::all_suites()) {
    const suites::Definition& definition = profiles::suite_definition(*suite);
    rows.emplace_back(definition.name, definition.description + " (version " +
                                           std::to_string(definition.version) + ")");
  }
  return rows;
}

Rows list_targets(const Common&) {
  Rows rows;
  for (const runners::TargetKind& kind : runners::target_kinds()) {
    rows.emplace_back(kind.name, kind.description);
  }
  return rows;
}

Rows list_metrics(const Common&) {
  Rows rows;
  for (const probes::Metric& metric : probes::all_metrics()) {
    rows.emplace_back(metric.name,
                      std::string(metric.description) + " [" + std::string(metric.unit) + "]");
  }
  return rows;
}

Rows list_profiles(const Common&) {
  Rows rows;
  std::error_code no_folder;
  for (const auto& entry : std::filesystem::directory_iterator("profiles", no_folder)) {
    if (entry.path().extension() != ".toml") continue;
    rows.emplace_back(entry.path().string(), profiles::load_profile(entry.path()).description);
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

Rows list_runs(const Common& common) {
  Rows rows;
  for (const reports::RunRow& run : reports::Store::open_read_only(common.db)->runs()) {
    rows.emplace_back(run.id, run.started_at + "  " + run.profile_name +
                                  (run.finished_at.empty() ? "  (unfinished)" : ""));
  }
  return rows;
}

Rows list_published(const Common&) {
  Rows rows;
  for (const reports::Published& run : reports::published_runs()) {
    rows.emplace_back(run.name, run.what + "; " + run.hardware);
  }
  return rows;
}

struct Kind {
  const char* name;
  Rows (*rows)(const Common&);
};
constexpr Kind kKinds[] = {{"suites", list_suites},       {"targets", list_targets},
                           {"metrics", list_metrics},     {"profiles", list_profiles},
                           {"published", list_published}, {"runs", list_runs}};

}  // namespace

void add_list(CLI::App& app, Common& common) {
  auto kind = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand(
      "list", "List suites, targets, metrics, profiles, published figures or runs");
  verb->footer("Examples:\n  ds4-sweep list suites\n  ds4-sweep list runs --json");
  verb->add_option("KIND", *kind, "suites, targets, metrics, profiles, published or runs")
      ->required()
      ->check(CLI::IsMember({"suites", "targets", "metrics", "profiles", "published", "runs"}));
  verb->add_option("--db", common.db, "Database file (runs)")
      ->envname("DS4_SWEEP_DB")
      ->capture_default_str();
  verb->add_flag("--json", common.json, "Print as JSON");
  verb->callback([kind, &common] {
    for (const Kind& k : kKinds) {
      if (*kind != k.name) continue;
      const Rows rows = k.rows(common);
      if (common.json) {
        nlohmann::json list = nlohmann::json::array();
        for (const auto& [name, text] : rows)
          list.push_back({{"name", name}, {"description", text}});
        std::puts(list.dump(2).c_str());
        return;
      }
      size_t width = 0;
      for (const auto& row : rows) width = std::max(width, row.first.size());
      for (const auto& [name, text] : rows) {
        std::printf("%-*s  %s\n", static_cast<int>(width), name.c_str(), text.c_str());
      }
    }
  });
}

}  // namespace ds4::cli

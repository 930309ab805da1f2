// `compare`: two stored runs, what differs between them and what got better or worse.
#include "reports/compare/comparison.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "runners/cli/console.h"
#include "runners/cli/verbs.h"

namespace ds4::cli {
namespace {

struct CompareOptions {
  std::string base, now, base_db;
  reports::CompareSettings settings;
};

}  // namespace

void add_compare(CLI::App& app, Common& common) {
  auto options = std::make_shared<CompareOptions>();
  CLI::App* verb =
      app.add_subcommand("compare", "Say what a run improved or made worse against another");
  verb->footer(
      "Examples:\n"
      "  ds4-sweep compare 3f2a latest                      two runs of the database\n"
      "  ds4-sweep compare latest latest --base-db old.db   the newest runs of two databases\n"
      "  ds4-sweep compare 3f2a 8b1c --json                 every test with its numbers\n"
      "Exit code: 1 if something regressed, else 0. docs/method.md explains the statistics.");
  verb->add_option("BASE", options->base,
                   "Run to compare with: id, a unique beginning of it, or `latest`")
      ->required();
  verb->add_option("NEW", options->now, "Run to judge")->required();
  verb->add_option("--db", common.db, "Database file")
      ->envname("DS4_SWEEP_DB")
      ->capture_default_str();
  verb->add_option("--base-db", options->base_db, "Database file of BASE (default: that of --db)");
  verb->add_option("--alpha", options->settings.alpha,
                   "Chance that any verdict of the comparison is a false alarm")
      ->check(CLI::Range(1e-6, 0.2))
      ->capture_default_str();
  verb->add_option("--margin", options->settings.margin,
                   "A loss that does not matter: share of a score, share of a time or size")
      ->check(CLI::Range(0.0, 0.5))
      ->capture_default_str();
  verb->add_flag("--json", common.json, "Print as JSON");
  verb->add_flag("--no-color", common.no_color, "No colours");
  verb->callback([options, &common] {
    const auto store = reports::Store::open_read_only(common.db);
    const auto base_store =
        reports::Store::open_read_only(options->base_db.empty() ? common.db : options->base_db);
    const reports::Comparison comparison =
        reports::compare_runs(*base_store, options->base, *store, options->now, options->settings);
    const std::string text =
        common.json ? reports::comparison_json(comparison)
                    : reports::comparison_text(comparison, use_colour(STDOUT_FILENO, common));
    std::fputs(text.c_str(), stdout);
    common.exit_code = comparison.exit_code();
  });
}

}  // namespace ds4::cli

// `compare`: two stored runs, what differs between them and what got better or worse.
#include "reports/compare/comparison.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "reports/pages/checks.h"
#include "reports/published/published.h"
#include "runners/cli/ci_files.h"
#include "runners/cli/console.h"
#include "runners/cli/verbs.h"

namespace ds4::cli {
namespace {

struct CompareOptions {
  std::string base, now, base_db;
  reports::CompareSettings settings;
  CiFiles ci;
};

constexpr std::string_view kPublished = "published:", kTrace = "trace:";

// One value each, without a spread: shown, so that nothing of it can fail.
void show_published(reports::Store& store, const CompareOptions& options, const Common& common) {
  const reports::Published& base = reports::find_published(options.base.substr(kPublished.size()));
  const reports::PublishedComparison comparison = reports::compare_with_published(
      base, reports::load_run(store, store.run(options.now).id, false));
  const std::string text =
      common.json ? reports::published_json(comparison)
                  : reports::published_text(comparison, use_colour(STDOUT_FILENO, common));
  std::fputs(text.c_str(), stdout);
  const reports::CheckList no_checks{
      "compare " + comparison.now.profile_name, comparison.now.started_at, {}, ""};
  write_ci_files(options.ci, no_checks, [&] { return reports::published_markdown(comparison); });
}

// Figures of two sets of traces; a file has nothing else to compare.
void show_traces(reports::Store& store, const CompareOptions& options, const Common& common) {
  const reports::TraceFileComparison comparison = reports::compare_with_trace_file(
      options.base.substr(kTrace.size()), store, store.run(options.now).id);
  const std::string text =
      common.json ? reports::trace_file_json(comparison)
                  : reports::trace_file_text(comparison, use_colour(STDOUT_FILENO, common));
  std::fputs(text.c_str(), stdout);
}

}  // namespace

void add_compare(CLI::App& app, Common& common) {
  auto options = std::make_shared<CompareOptions>();
  CLI::App* verb =
      app.add_subcommand("compare", "Say what a run improved or made worse against another");
  verb->footer(
      "Examples:\n"
      "  ds4-sweep compare 3f2a latest                      two runs of the database\n"
      "  ds4-sweep compare latest latest --base-db old.db   the newest runs of two databases\n"
      "  ds4-sweep compare baseline:green latest --junit junit.xml\n"
      "  ds4-sweep compare published:k160-mtp2-200k latest  others' figures beside it, not judged\n"
      "  ds4-sweep compare trace:official.jsonl latest  log-probabilities, token by token\n"
      "  ds4-sweep compare 3f2a 8b1c --json                 every test with its numbers\n"
      "Exit code: 1 if something regressed, else 0. docs/method.md explains the statistics.");
  verb->add_option("BASE", options->base,
                   "Run to compare with: id, a unique beginning of it, `latest`, `baseline:NAME`, "
                   "`published:NAME` or `trace:FILE`")
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
  verb->add_option("--launch-noise", options->settings.launch_noise,
                   "Spread between launches of the same thing (standard deviation, as a share), "
                   "assumed where a side has one launch")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  add_ci_flags(verb, options->ci);
  verb->add_flag("--json", common.json, "Print as JSON");
  add_color_flag(verb, common);
  verb->callback([options, &common] {
    const auto store = reports::Store::open_read_only(common.db);
    if (options->base.starts_with(kPublished)) {
      show_published(*store, *options, common);
      return;
    }
    if (options->base.starts_with(kTrace)) {
      show_traces(*store, *options, common);
      return;
    }
    const auto base_store =
        reports::Store::open_read_only(options->base_db.empty() ? common.db : options->base_db);
    const reports::Comparison comparison =
        reports::compare_runs(*base_store, options->base, *store, options->now, options->settings);
    const std::string text =
        common.json ? reports::comparison_json(comparison)
                    : reports::comparison_text(comparison, use_colour(STDOUT_FILENO, common));
    std::fputs(text.c_str(), stdout);
    write_ci_files(options->ci, reports::checks_of(comparison),
                   [&] { return reports::comparison_markdown(comparison); });
    common.exit_code = comparison.exit_code();
  });
}

}  // namespace ds4::cli

// `rescore`: grades the stored answers of a run again with the scorers of this build, and says what
// that changed. Older scores stay.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <limits>

#include "profiles/schema/profile.h"
#include "runners/cli/verbs.h"
#include "runners/outcome/attempt.h"
#include "runners/regrade.h"
#include "runners/scoring.h"

namespace ds4::cli {
namespace {

constexpr size_t kMostCases = 20;

runners::Regrading regrade(reports::Store& store, const std::string& run) {
  runners::Regrading regrading;
  for (reports::StoredAttempt& attempt : store.attempts(store.run(run).id, false)) {
    if (attempt.status != "ok") continue;
    const suites::Suite* suite = suites::find_suite(attempt.suite);
    if (!suite) {
      ++regrading.unknown[attempt.suite];
      continue;
    }
    store.load_texts(attempt);
    reports::ScoreRow score = runners::grade(*suite, attempt);
    score.attempt_id = attempt.id;
    if (runners::outcome::follows_from_rows(attempt.outcome)) {
      const auto finding = runners::outcome::classify_attempt(attempt, score, {});
      if (finding.outcome != attempt.outcome || finding.note != attempt.note) {
        store.set_outcome(attempt.id, finding.outcome, finding.note);
      }
    }
    const std::string& headline = profiles::suite_definition(*suite).scores.front();
    if (runners::note_regrade(regrading, attempt, score, headline)) store.add_score(score);
  }
  return regrading;
}

}  // namespace

void add_rescore(CLI::App& app, Common& common) {
  struct Options {
    std::string run;
    bool all = false;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("rescore", "Grade stored answers again with today's scorers");
  verb->footer(
      "Example:\n"
      "  ds4-sweep rescore latest\n"
      "  ds4-sweep rescore latest --json | jq '.cases[] | {case, was: .then.grade, is: "
      ".now.grade}'");
  verb->add_option("RUN", options->run, "Run id, a unique beginning of it, or `latest`")
      ->required();
  verb->add_flag("--all", options->all, "List every changed case, not the first 20");
  verb->add_flag("--json", options->json, "What changed, as JSON (docs/schema.md)");
  verb->add_option("--db", common.db, "Database file")
      ->envname("DS4_SWEEP_DB")
      ->capture_default_str();
  verb->callback([options, &common] {
    const auto store = reports::Store::open(common.db);
    const runners::Regrading regrading = regrade(*store, options->run);
    const size_t most = options->all ? std::numeric_limits<size_t>::max() : kMostCases;
    const std::string text =
        options->json ? runners::to_json(regrading) : runners::to_text(regrading, most);
    std::fputs(text.c_str(), stdout);
  });
}

}  // namespace ds4::cli

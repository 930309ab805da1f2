// `rescore`: grades the stored answers of a run again with the scorers of this build. Older scores
// stay.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "engine/base/error.h"
#include "runners/cli/verbs.h"
#include "runners/outcome/attempt.h"
#include "runners/scoring.h"

namespace ds4::cli {

void add_rescore(CLI::App& app, Common& common) {
  auto run = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("rescore", "Grade stored answers again with today's scorers");
  verb->footer("Example:\n  ds4-sweep rescore latest");
  verb->add_option("RUN", *run, "Run id, a unique beginning of it, or `latest`")->required();
  verb->add_option("--db", common.db, "Database file")
      ->envname("DS4_SWEEP_DB")
      ->capture_default_str();
  verb->callback([run, &common] {
    const auto store = reports::Store::open(common.db);
    int n = 0, changed = 0;
    for (reports::StoredAttempt& attempt : store->attempts(store->run(*run).id, false)) {
      const suites::Suite* suite = suites::find_suite(attempt.suite);
      if (!suite || attempt.status != "ok") continue;
      store->load_texts(attempt);
      reports::ScoreRow score = runners::grade(*suite, attempt);
      score.attempt_id = attempt.id;
      ++n;
      if (runners::outcome::follows_from_rows(attempt.outcome)) {
        const auto finding = runners::outcome::classify_attempt(attempt, score, {});
        if (finding.outcome != attempt.outcome || finding.note != attempt.note) {
          store->set_outcome(attempt.id, finding.outcome, finding.note);
        }
      }
      if (attempt.score && attempt.score->grade == score.grade &&
          attempt.score->values == score.values && attempt.score->extracted == score.extracted) {
        continue;
      }
      ++changed;
      store->add_score(score);
    }
    std::printf("%d answers graded, %d with another result than before\n", n, changed);
  });
}

}  // namespace ds4::cli

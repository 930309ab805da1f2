// `show`: one run in the terminal, down to prompt, answer and the scorer's reasoning.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "engine/base/error.h"
#include "reports/pages/show.h"
#include "runners/cli/verbs.h"

namespace ds4::cli {

void add_show(CLI::App& app, Common& common) {
  auto run = std::make_shared<std::string>();
  auto filter = std::make_shared<std::string>();
  auto full = std::make_shared<bool>(false);
  CLI::App* verb = app.add_subcommand("show", "Prompts, answers and gradings of a run");
  verb->footer(
      "Examples:\n"
      "  ds4-sweep show latest                     one line per case\n"
      "  ds4-sweep show latest needle/2048         the cases of that name, with head and tail of "
      "texts\n"
      "  ds4-sweep show latest arithmetic --full   whole prompts and answers");
  verb->add_option("RUN", *run, "Run id, a unique beginning of it, or `latest`")->required();
  verb->add_option("CASE", *filter, "Beginning of suite/case");
  verb->add_flag("--full", *full, "Whole texts instead of 2 KB of each");
  verb->add_option("--db", common.db, "Database file")
      ->envname("DS4_SWEEP_DB")
      ->capture_default_str();
  verb->callback([run, filter, full, &common] {
    const auto store = reports::Store::open_read_only(common.db);
    auto attempts = store->attempts(store->run(*run).id, false);
    for (reports::StoredAttempt& attempt : attempts) {
      const bool opened =
          !filter->empty() && (attempt.suite + "/" + attempt.case_id).starts_with(*filter);
      if (opened) store->load_texts(attempt);  // a long run's prompts are many megabytes
    }
    const std::string text = reports::render_attempts(attempts, *filter, *full);
    if (text.empty()) {
      throw Error(ErrorCode::kUsage, "no case of that run begins with `" + *filter + "`",
                  "`ds4-sweep show " + *run + "` lists them.");
    }
    std::fputs(text.c_str(), stdout);
  });
}

}  // namespace ds4::cli

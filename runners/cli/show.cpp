// `show`: one run in the terminal, down to prompt, answer and the scorer's reasoning.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "reports/pages/show_run.h"
#include "runners/cli/verbs.h"

namespace ds4::cli {

void add_show(CLI::App& app, Common& common) {
  auto run_name = std::make_shared<std::string>();
  auto first = std::make_shared<std::string>();
  auto second = std::make_shared<std::string>();
  auto full = std::make_shared<bool>(false);
  CLI::App* verb = app.add_subcommand("show", "Cells, prompts, answers and gradings of a run");
  verb->footer(
      "One word behind RUN is a CELL when the run has several, a CASE when it has one; two words "
      "are "
      "CELL\nand CASE in any run.\n"
      "Examples:\n"
      "  ds4-sweep show latest                     cells with outcomes, one line per case\n"
      "  ds4-sweep show latest needle/2048         of one cell: the cases of that name, with head "
      "and\n"
      "                                            tail of texts\n"
      "  ds4-sweep show latest 3                   the third cell, with the logs of launches that "
      "failed\n"
      "  ds4-sweep show latest kv_dtype=bf16 arithmetic --full\n"
      "                                            whole prompts and answers");
  verb->add_option("RUN", *run_name, "Run id, a unique beginning of it, or `latest`")->required();
  verb->add_option("CELL", *first, "Its number, its label or a beginning of that");
  verb->add_option("CASE", *second, "Beginning of suite/case; its texts are shown");
  verb->add_flag("--full", *full, "Whole texts instead of 2 KB of each");
  verb->add_flag("--json", common.json, "Print as one JSON object, texts of cases whole");
  verb->add_option("--db", common.db, "Database file")
      ->envname("DS4_SWEEP_DB")
      ->capture_default_str();
  verb->callback([run_name, first, second, full, &common] {
    const auto store = reports::Store::open_read_only(common.db);
    reports::RunData run = reports::load_run(*store, store->run(*run_name).id, false);
    std::vector<std::string> words;
    for (const std::string* word : {first.get(), second.get()}) {
      if (!word->empty()) words.push_back(*word);
    }
    const reports::Shown shown = reports::find_shown(run, words);
    for (reports::StoredAttempt& attempt : run.attempts) {
      if (shown.opens(attempt)) store->load_texts(attempt);  // a run's prompts are many megabytes
    }
    std::fputs(
        (common.json ? reports::show_json(run, shown) : reports::render_show(run, shown, *full))
            .c_str(),
        stdout);
  });
}

}  // namespace ds4::cli

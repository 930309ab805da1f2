// The verbs of the command line: one file each, one line each in the table of main.cpp.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace CLI {
class App;
}

namespace ds4::cli {

/// Flags that mean the same for every verb.
struct Common {
  std::string db = "runs/results.db";
  std::string command_line;
  bool json = false, quiet = false, no_color = false, no_progress = false;
  int exit_code = 0;  // what main() returns when the verb ends normally
};

constexpr int kInterruptedExit = 130;  // what shells say of SIGINT

void add_run(CLI::App& app, Common& common);
void add_plan(CLI::App& app, Common& common);
void add_resume(CLI::App& app, Common& common);
void add_report(CLI::App& app, Common& common);
void add_show(CLI::App& app, Common& common);
void add_compare(CLI::App& app, Common& common);
void add_traces(CLI::App& app, Common& common);
void add_pick(CLI::App& app, Common& common);
void add_baseline(CLI::App& app, Common& common);
void add_prune_runs(CLI::App& app, Common& common);
void add_rescore(CLI::App& app, Common& common);
void add_merge(CLI::App& app, Common& common);
void add_import(CLI::App& app, Common& common);
void add_export(CLI::App& app, Common& common);
void add_fetch(CLI::App& app, Common& common);
void add_list(CLI::App& app, Common& common);
void add_inspect(CLI::App& app, Common& common);
void add_doctor(CLI::App& app, Common& common);
void add_probe(CLI::App& app, Common& common);
void add_breakdown(CLI::App& app, Common& common);
void add_logits(CLI::App& app, Common& common);
void add_generate(CLI::App& app, Common& common);
void add_selftest(CLI::App& app, Common& common);
void add_reap(CLI::App& app, Common& common);
void add_score(CLI::App& app, Common& common);
void add_serve(CLI::App& app, Common& common);
void add_synthesize(CLI::App& app, Common& common);
void add_guard(CLI::App& app, Common& common);
void add_worker(CLI::App& app, Common& common);         // hidden: for the supervisor
void add_guard_process(CLI::App& app, Common& common);  // hidden, too
void add_sentinel(CLI::App& app, Common& common);       // hidden: for a run

}  // namespace ds4::cli

// ds4-sweep: parse, run the verb, turn errors into messages and exit codes. The only catch of
// ds4::Error besides the worker's top frame.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "engine/base/error.h"
#include "engine/base/mapped_files.h"
#include "engine/base/version.h"
#include "runners/cli/verbs.h"

namespace {

using ds4::cli::Common;

constexpr const char* kFooter = R"(Examples:
  ds4-sweep profiles/tiny.toml              measure a profile (same as `run`)
  ds4-sweep plan profiles/tiny.toml         what would be measured, and the memory it needs
  ds4-sweep resume latest                   finish an interrupted run
  ds4-sweep report latest -o report         write report.html, report.md and report.json
  ds4-sweep compare 3f2a latest             what got better or worse
  ds4-sweep show latest needle              prompts, answers and gradings of one suite
  ds4-sweep generate --checkpoint checkpoints/tiny "What is 12 + 30?"

Exit codes: 0 measured, gates pass; 1 a gate failed or a run is worse; 2 usage or profile; 3 machine not fit;
4 some cells have no measurement; 5 a bug of ours; 130 interrupted.)";

std::string join_arguments(int argc, char** argv) {
  std::string line = "ds4-sweep";
  for (int i = 1; i < argc; ++i) line += std::string(" ") + argv[i];
  return line;
}

void print_error(const ds4::Error& e) {
  std::fprintf(stderr, "ds4-sweep: %s\n", e.what());
  if (!e.hint().empty()) std::fprintf(stderr, "  %s\n", e.hint().c_str());
}

// What a verb printed must have arrived: an answer cut by a full disk is no answer.
void flush_output() {
  if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return;
  throw ds4::Error(ds4::ErrorCode::kIo, "standard output could not be written to its end",
                   "Free space on the disk it goes to, or send it elsewhere.");
}

}  // namespace

int main(int argc, char** argv) {
  ds4::guard_mapped_files();
  CLI::App app{"Measures and validates DeepSeek-V4-Flash on one machine.", "ds4-sweep"};
  app.footer(kFooter);
  app.set_version_flag("--version", std::string("ds4-sweep ") + ds4::kVersion + " (" +
                                        ds4::kCommit + (ds4::kDirty ? ", modified" : "") + ")");
  app.require_subcommand(1);
  Common common;
  common.command_line = join_arguments(argc, argv);
  ds4::cli::add_run(app, common);
  ds4::cli::add_plan(app, common);
  ds4::cli::add_resume(app, common);
  ds4::cli::add_report(app, common);
  ds4::cli::add_show(app, common);
  ds4::cli::add_compare(app, common);
  ds4::cli::add_traces(app, common);
  ds4::cli::add_pick(app, common);
  ds4::cli::add_baseline(app, common);
  ds4::cli::add_prune_runs(app, common);
  ds4::cli::add_rescore(app, common);
  ds4::cli::add_merge(app, common);
  ds4::cli::add_import(app, common);
  ds4::cli::add_export(app, common);
  ds4::cli::add_fetch(app, common);
  ds4::cli::add_list(app, common);
  ds4::cli::add_inspect(app, common);
  ds4::cli::add_doctor(app, common);
  ds4::cli::add_probe(app, common);
  ds4::cli::add_breakdown(app, common);
  ds4::cli::add_logits(app, common);
  ds4::cli::add_generate(app, common);
  ds4::cli::add_selftest(app, common);
  ds4::cli::add_reap(app, common);
  ds4::cli::add_score(app, common);
  ds4::cli::add_serve(app, common);
  ds4::cli::add_synthesize(app, common);
  ds4::cli::add_guard(app, common);
  ds4::cli::add_worker(app, common);
  ds4::cli::add_guard_process(app, common);
  ds4::cli::add_sentinel(app, common);

  // `ds4-sweep x.toml` means `ds4-sweep run x.toml`.
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (!arguments.empty() && arguments[0].ends_with(".toml")) {
    arguments.insert(arguments.begin(), "run");
  }
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them last first
  try {
    app.parse(std::move(arguments));
    flush_output();
    return common.exit_code;
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  } catch (const ds4::Error& e) {
    print_error(e);
    return ds4::exit_code(e.code());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "ds4-sweep: unexpected: %s\n  This is a bug; please report it.\n",
                 e.what());
    return 5;
  }
}

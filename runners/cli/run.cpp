// `run` and `resume`: measure, then print the verdict and write the report.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "engine/base/units.h"
#include "reports/pages/checks.h"
#include "reports/pages/page.h"
#include "reports/pages/render.h"
#include "runners/box_lock.h"
#include "runners/cli/ci_files.h"
#include "runners/cli/console.h"
#include "runners/cli/data_flag.h"
#include "runners/cli/verbs.h"
#include "runners/outcome/unfinished.h"
#include "runners/run.h"
#include "runners/sweep/execute.h"
#include "runners/targets/registry.h"

namespace ds4::cli {
namespace {

struct RunOptions {
  std::string profile, run;
  std::vector<std::string> set;
  std::string output, gates, shard, sweep_id;
  bool force = false, retry = false, no_lock = false;
  std::string wait = "0s";
  CiFiles ci;
};

// The machine for this run alone, where it is to be measured.
std::unique_ptr<runners::BoxLock> lock_machine(const RunOptions& options, bool fills_the_machine) {
  if (!fills_the_machine || options.no_lock) return nullptr;
  return std::make_unique<runners::BoxLock>(
      runners::BoxLock::default_file(), parse_duration(options.wait),
      [](const runners::BoxLock::Holder& holder) {
        std::fprintf(stderr, "waiting for %s\n", holder.text().c_str());
      });
}

bool fills_the_machine(const profiles::Plan& plan) {
  return std::any_of(plan.cells.begin(), plan.cells.end(), [](const profiles::Cell& cell) {
    return runners::fills_the_machine(cell.profile);
  });
}

bool fills_the_machine(const std::vector<reports::CellRow>& cells) {
  return std::any_of(cells.begin(), cells.end(), [](const reports::CellRow& cell) {
    return runners::fills_the_machine(profiles::cell_from_json(cell.settings).profile);
  });
}

std::unique_ptr<reports::Store> open_store(const Common& common) {
  auto store = reports::Store::open(common.db);
  runners::outcome::settle_unfinished(*store);
  return store;
}

// Writes report.{html,md,json} beside the database, or to --output.
std::filesystem::path write_reports(const reports::Page& page, const std::string& run_id,
                                    const Common& common, const std::string& output) {
  const std::filesystem::path folder =
      output.empty() ? std::filesystem::path(common.db).parent_path() / run_id.substr(0, 8)
                     : std::filesystem::path(output);
  try {
    make_folders(folder);
    write_file_atomic(folder / "report.html", reports::render_html(page));
    write_file_atomic(folder / "report.md", reports::render_markdown(page));
    write_file_atomic(folder / "report.json", reports::render_json(page));
  } catch (const Error& error) {
    // After hours of measuring, the first question is what is lost.
    throw Error(error.code(), error.what(),
                error.hint() + " Everything measured is stored: ds4-sweep report " +
                    run_id.substr(0, 8) + " --db " + common.db + " -o FOLDER");
  }
  return folder;
}

void execute_and_report(reports::Store& store, const std::string& run_id, const RunOptions& options,
                        Common& common) {
  runners::install_interrupt_handler();
  {
    Progress progress(common);
    runners::sweep::execute(store, run_id, progress.observer(), options.retry);
  }
  const reports::Page page = reports::build_page(store, run_id);
  const std::filesystem::path folder = write_reports(page, run_id, common, options.output);
  write_ci_files(options.ci, reports::checks_of(page),
                 [&] { return reports::render_markdown(page); });
  if (common.json) {
    std::puts(reports::render_json(page).c_str());
  } else {
    std::fputs(reports::render_terminal(page, use_colour(STDOUT_FILENO, common)).c_str(), stdout);
    std::printf("\nreport: %s\n        %s\n", (folder / "report.html").c_str(),
                (folder / "report.md").c_str());
    if (!runners::g_interrupted) {
      std::printf("next:   ds4-sweep show %s\n", run_id.substr(0, 8).c_str());
    }
  }
  if (runners::g_interrupted) {
    std::fprintf(stderr,
                 "interrupted; everything measured is stored. To finish: ds4-sweep resume %s\n",
                 run_id.substr(0, 8).c_str());
    common.exit_code = kInterruptedExit;
  } else {
    common.exit_code = page.verdict.exit_code();
  }
}

void add_run_flags(CLI::App* verb, RunOptions& options, Common& common) {
  verb->add_option("--db", common.db, "Database file")
      ->envname("DS4_SWEEP_DB")
      ->capture_default_str();
  verb->add_option("-o,--output", options.output,
                   "Folder for the reports (default: beside the database)");
  add_ci_flags(verb, options.ci);
  add_data_flag(verb);
  verb->add_flag("--json", common.json, "Print the result as one JSON object");
  verb->add_option("--wait", options.wait, "How long to wait for another run to leave the machine")
      ->capture_default_str();
  verb->add_flag("--no-lock", options.no_lock, "Measure beside other runs, knowingly")
      ->envname("DS4_SWEEP_NO_LOCK");
  verb->add_flag("-q,--quiet", common.quiet, "No progress");
  add_color_flag(verb, common);
  verb->add_flag("--no-progress", common.no_progress, "No progress");
}

}  // namespace

void add_run(CLI::App& app, Common& common) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* verb = app.add_subcommand("run", "Measure a profile and judge it (the default verb)");
  verb->footer(
      "Examples:\n"
      "  ds4-sweep run profiles/tiny.toml\n"
      "  ds4-sweep run profiles/tiny.toml --set engine.kv_dtype=bf16 --json\n"
      "  ds4-sweep run profiles/tiny.toml --gates nightly.toml\n"
      "  ds4-sweep run profiles/tiny-family.toml --shard 2/3 --sweep-id night-12\n"
      "Ctrl-C keeps everything measured; `ds4-sweep resume latest` finishes the run.");
  verb->add_option("PROFILE", options->profile, "Profile file (TOML)")->required();
  verb->add_option("--set", options->set, "Override a key of the profile: key=value (recorded)");
  verb->add_option("--shard", options->shard,
                   "Run the i-th of n parts of the sweep's cells: i/n (docs/fleet.md)");
  verb->add_option("--sweep-id", options->sweep_id,
                   "Name of this execution of the sweep, the same for all its shards")
      ->envname("DS4_SWEEP_ID");
  verb->add_option("--gates", options->gates,
                   "File of [[gate]]s to keep beside the profile's (recorded; docs/gates.md)");
  add_run_flags(verb, *options, common);
  verb->callback([options, &common] {
    profiles::Profile profile = profiles::load_profile(options->profile, options->set);
    if (!options->gates.empty()) profiles::add_gates(profile, options->gates);
    const profiles::Plan plan = profiles::make_plan(profile);
    const runners::Shard shard = runners::parse_shard(options->shard, options->sweep_id);
    runners::check_plan(runners::own_cells(plan, shard));
    const auto lock = lock_machine(*options, fills_the_machine(plan));
    const auto store = open_store(common);
    const std::string run_id = runners::begin_run(*store, plan, common.command_line, shard);
    if (lock) lock->name_run(run_id);
    execute_and_report(*store, run_id, *options, common);
  });
}

void add_resume(CLI::App& app, Common& common) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* verb = app.add_subcommand("resume", "Run what an interrupted run is missing");
  verb->footer(
      "Examples:\n  ds4-sweep resume latest\n  ds4-sweep resume 3f2a91c0 --force\n"
      "  ds4-sweep resume latest --retry");
  verb->add_option("RUN", options->run, "Run id, a unique beginning of it, or `latest`")
      ->required();
  verb->add_flag("--retry", options->retry,
                 "Launch also what was skipped, refused or ran out of memory");
  verb->add_flag("--force", options->force, "Even if the commit or the checkpoint is another one");
  add_run_flags(verb, *options, common);
  verb->callback([options, &common] {
    const auto store = open_store(common);
    const reports::RunRow run = store->run(options->run);
    runners::check_resumable(*store, run, options->force);
    const auto lock = lock_machine(*options, fills_the_machine(store->cells(run.id)));
    if (lock) lock->name_run(run.id);
    execute_and_report(*store, run.id, *options, common);
  });
}

}  // namespace ds4::cli

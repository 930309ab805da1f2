// `report`: pages of stored runs, in any format.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "engine/base/error.h"
#include "profiles/schema/plan.h"
#include "reports/compare/page.h"
#include "reports/history/history.h"
#include "reports/pages/checks.h"
#include "reports/pages/limits.h"
#include "reports/pages/render.h"
#include "runners/cli/ci_files.h"
#include "runners/cli/console.h"
#include "runners/cli/report_files.h"
#include "runners/cli/report_serve.h"
#include "runners/cli/verbs.h"
#include "runners/outcome/unfinished.h"

namespace ds4::cli {
namespace {

struct ReportOptions {
  std::vector<std::string> runs;
  std::string output, gates;
  bool exit_code = false, full = false, compare = false, serve = false;
  int history = 0;  // runs; 0 = not asked for
  runners::serve::ReportSettings server;
  CiFiles ci;
  std::vector<std::string> formats;

  bool to_terminal() const { return output.empty() && formats.empty(); }
};

// The stored profile with the gates of a file added, "" without a file: PageSettings::profile.
std::string profile_with_gates(const reports::RunRow& run, const std::string& path) {
  if (path.empty()) return "";
  profiles::Cell cell = profiles::cell_from_json(run.resolved_profile);
  profiles::add_gates(cell.profile, path);
  return profiles::cell_to_json(cell);
}

// A page each; of several runs in a folder each, by the beginnings of their ids.
void report_runs(reports::Store& store, const ReportOptions& options, Common& common) {
  const bool many = options.runs.size() > 1;
  for (const std::string& name : options.runs) {
    const reports::RunRow run = store.run(name);
    const reports::Page page =
        reports::build_page(store, run.id, {profile_with_gates(run, options.gates), options.full});
    write_ci_files(options.ci, reports::checks_of(page),
                   [&] { return reports::render_markdown(page); });
    if (options.exit_code) {
      common.exit_code = std::max(common.exit_code, page.verdict.exit_code());
    }
    if (options.to_terminal()) {
      std::fputs(reports::render_terminal(page, use_colour(STDOUT_FILENO, common)).c_str(), stdout);
      if (many && &name != &options.runs.back()) std::puts("");
      continue;
    }
    const std::filesystem::path folder = options.output;
    write_report(page, options.formats, many ? folder / run.id.substr(0, 8) : folder);
  }
}

// A page of several runs, cut as one of a run is: in the formats that it has.
void write_joint_page(reports::Page page, const std::string& json, const char* name,
                      const ReportOptions& options, const Common& common) {
  const std::string all = "ds4-sweep report " + std::string(name) + " ... --full -o FOLDER";
  if (!options.full) reports::limit_page(page, all);
  if (options.to_terminal()) {
    std::fputs(reports::render_terminal(page, use_colour(STDOUT_FILENO, common)).c_str(), stdout);
    return;
  }
  for (const std::string& format : options.formats) {
    if (format == "html") {
      write_report_file(reports::render_html(page), "report.html", options.output);
    } else if (format == "md") {
      write_report_file(reports::render_markdown(page), "report.md", options.output);
    } else {
      write_report_file(json, "report.json", options.output);
    }
  }
}

void report_comparison(reports::Store& store, const ReportOptions& options, Common& common) {
  const auto pairs = reports::compare_with_first(store, options.runs, {});
  write_joint_page(reports::comparison_page(pairs), reports::comparisons_json(pairs), "--compare",
                   options, common);
  for (const reports::Comparison& pair : pairs) {
    if (options.exit_code) common.exit_code = std::max(common.exit_code, pair.exit_code());
  }
}

void report_history(reports::Store& store, const ReportOptions& options, const Common& common) {
  const reports::History history =
      reports::load_history(store, options.runs.front(), static_cast<size_t>(options.history));
  write_joint_page(reports::history_page(history), reports::history_json(history), "--history",
                   options, common);
}

// What --compare and --history cannot do.
void check_joint_options(const ReportOptions& options) {
  const char* flag = options.compare ? "--compare" : "--history";
  const auto refuse = [&](const std::string& what, const char* hint) {
    throw Error(ErrorCode::kUsage, std::string(flag) + " " + what, hint);
  };
  for (const std::string& format : options.formats) {
    if (format == "csv" || format == "ds4-bench") {
      refuse("has no format " + format, "Use html, md or json; csv is of single runs.");
    }
  }
  if (!options.gates.empty() || !options.ci.junit.empty() || !options.ci.summary.empty()) {
    refuse("judges no gates", "Leave out --gates, --junit and --summary, or use `compare`.");
  }
  if (options.compare && options.runs.size() < 2) {
    refuse("takes two runs or more", "Name them, the one to compare with first.");
  }
  if (options.history > 0 && options.runs.size() > 1) {
    refuse("takes one run", "Name the newest run to show; those before it are found.");
  }
}

void settle_options(ReportOptions& options) {
  if (options.runs.empty()) options.runs = {"latest"};
  const bool joint = options.compare || options.history > 0;
  if (joint) check_joint_options(options);
  if (options.to_terminal()) return;
  if (options.output.empty()) options.output = "-";
  if (options.formats.empty()) options.formats = {"html", "md", "json"};
  check_output(options.formats, options.output);
  if (!joint && options.runs.size() > 1 && options.output == "-") {
    throw Error(ErrorCode::kUsage, "standard output takes the report of one run",
                "Add `-o FOLDER`: each run gets a folder there.");
  }
}

}  // namespace

void add_report(CLI::App& app, Common& common) {
  auto options = std::make_shared<ReportOptions>();
  CLI::App* verb = app.add_subcommand("report", "Show stored runs, or write their reports");
  verb->footer(
      "Examples:\n"
      "  ds4-sweep report latest                     the verdict table on the terminal\n"
      "  ds4-sweep report latest --gates nightly.toml --exit-code\n"
      "  ds4-sweep report latest -o out              write out/report.html, .md and .json\n"
      "  ds4-sweep report 3f2a 8b1c -o out           out/3f2a..../report.html, ...\n"
      "  ds4-sweep report --compare 3f2a 8b1c 77d0 -o out   the last two beside the first\n"
      "  ds4-sweep report --history 30 -o out        30 nights, and where something changed\n"
      "  ds4-sweep report 3f2a --full -o out         every row and case, however large\n"
      "  ds4-sweep report 3f2a --format md -o -      Markdown to standard output\n"
      "  ds4-sweep report 3f2a --format csv -o out   out/cells.csv and out/figures.csv\n"
      "  ds4-sweep report 3f2a --format ds4-bench    the walk of the frontier suite as CSV\n"
      "  ds4-sweep report latest --serve             a page that follows a sweep while it runs");
  verb->add_option("RUN", options->runs,
                   "Run ids, unique beginnings of them, or `latest` (default: latest)");
  verb->add_option("--db", common.db, "Database file")
      ->envname("DS4_SWEEP_DB")
      ->capture_default_str();
  CLI::Option* output =
      verb->add_option("-o,--output", options->output,
                       "Folder to write to, of several runs a folder in it for each; `-` is "
                       "standard output");
  CLI::Option* format = verb->add_option("--format", options->formats,
                                         "html, md, json (default: these), csv, ds4-bench")
                            ->delimiter(',')
                            ->check(CLI::IsMember(report_formats()));
  CLI::Option* compare = verb->add_flag(
      "--compare", options->compare,
      "One page that sets the runs beside the first of them, with the tests of `compare`");
  CLI::Option* history =
      verb->add_option(
              "--history", options->history,
              "One page of the last N runs of RUN's profile on its kind of machine, with the "
              "places where a figure's level changed")
          ->check(CLI::Range(2, 10000))
          ->type_name("N")
          ->excludes("--compare");
  CLI::Option* full = verb->add_flag("--full", options->full,
                                     "Every row, case and byte, where the page would be over 2 MB");
  CLI::Option* gates =
      verb->add_option("--gates", options->gates,
                       "File of [[gate]]s to judge by, beside the profile's (docs/gates.md)");
  add_ci_flags(verb, options->ci);
  CLI::Option* exit_code = verb->add_flag(
      "--exit-code", options->exit_code,
      "Exit as `run` would: 1 when a gate failed, 4 when one could not be decided; with "
      "--compare 1 when something regressed");
  CLI::Option* serve =
      verb->add_flag("--serve", options->serve,
                     "Show the database in a browser, up to date while a sweep runs; without RUN "
                     "the list of runs");
  for (CLI::Option* other : {output, format, compare, history, full, gates, exit_code}) {
    serve->excludes(other);
  }
  verb->add_option("--host", options->server.host, "Address to serve at")
      ->needs(serve)
      ->capture_default_str();
  verb->add_option("--port", options->server.port, "Port to serve at; 0 = any that is free")
      ->needs(serve)
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  add_color_flag(verb, common);
  verb->callback([options, &common] {
    if (options->serve) {
      options->server.database = common.db;
      if (options->runs.size() > 1) {
        throw Error(ErrorCode::kUsage, "--serve shows one run, or without RUN the list of them",
                    "Name one run.");
      }
      return serve_reports(options->server, options->runs.empty() ? "" : options->runs.front());
    }
    settle_options(*options);
    if (options->runs.size() > 1 && !options->ci.junit.empty()) {
      throw Error(ErrorCode::kUsage, "a JUnit file is of one run", "Name one run with --junit.");
    }
    runners::outcome::settle_unfinished(std::filesystem::path(common.db));
    const auto store = reports::Store::open_read_only(common.db);
    if (options->compare) {
      report_comparison(*store, *options, common);
    } else if (options->history > 0) {
      report_history(*store, *options, common);
    } else {
      report_runs(*store, *options, common);
    }
  });
}

}  // namespace ds4::cli

// `report`: the page of a stored run, in any format.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "profiles/schema/plan.h"
#include "reports/pages/checks.h"
#include "reports/pages/page.h"
#include "reports/pages/render.h"
#include "runners/cli/ci_files.h"
#include "runners/cli/console.h"
#include "runners/cli/report_serve.h"
#include "runners/cli/verbs.h"
#include "runners/outcome/unfinished.h"

namespace ds4::cli {
namespace {

struct Format {
  const char* name;
  const char* file;
  std::string (*render)(const reports::Page&);
};
constexpr Format kFormats[] = {{"html", "report.html", reports::render_html},
                               {"md", "report.md", reports::render_markdown},
                               {"json", "report.json", reports::render_json},
                               {"ds4-bench", "frontiers.csv", reports::render_ds4_bench}};

struct ReportOptions {
  std::string run = "latest", output, gates;
  bool exit_code = false, serve = false;
  runners::serve::ReportSettings server;
  CiFiles ci;
  std::vector<std::string> formats;
};

// The stored profile with the gates of a file added, "" without a file: build_page()'s `profile`.
std::string profile_with_gates(const reports::RunRow& run, const std::string& path) {
  if (path.empty()) return "";
  profiles::Cell cell = profiles::cell_from_json(run.resolved_profile);
  profiles::add_gates(cell.profile, path);
  return profiles::cell_to_json(cell);
}

void write_formats(const reports::Page& page, const ReportOptions& options) {
  for (const std::string& wanted : options.formats) {
    for (const Format& format : kFormats) {
      if (wanted != format.name) continue;
      if (options.output == "-") {
        std::fputs(format.render(page).c_str(), stdout);
        continue;
      }
      make_folders(options.output);
      const auto path = std::filesystem::path(options.output) / format.file;
      write_file_atomic(path, format.render(page));
      std::puts(path.c_str());
    }
  }
}

}  // namespace

void add_report(CLI::App& app, Common& common) {
  auto options = std::make_shared<ReportOptions>();
  CLI::App* verb = app.add_subcommand("report", "Show a stored run, or write its report");
  verb->footer(
      "Examples:\n"
      "  ds4-sweep report latest                     the verdict table on the terminal\n"
      "  ds4-sweep report latest --gates nightly.toml --exit-code\n"
      "  ds4-sweep report latest -o out              write out/report.html, .md and .json\n"
      "  ds4-sweep report 3f2a --format md -o -      Markdown to standard output\n"
      "  ds4-sweep report 3f2a --format ds4-bench    the walk of the frontier suite as CSV\n"
      "  ds4-sweep report latest --serve             a page that follows a sweep while it runs");
  CLI::Option* run =
      verb->add_option("RUN", options->run, "Run id, a unique beginning of it, or `latest`")
          ->capture_default_str();
  verb->add_option("--db", common.db, "Database file")
      ->envname("DS4_SWEEP_DB")
      ->capture_default_str();
  CLI::Option* output = verb->add_option("-o,--output", options->output,
                                         "Folder to write to; `-` is standard output");
  CLI::Option* format =
      verb->add_option("--format", options->formats, "html, md, json (default: these), ds4-bench")
          ->delimiter(',')
          ->check(CLI::IsMember({"html", "md", "json", "ds4-bench"}));
  CLI::Option* gates =
      verb->add_option("--gates", options->gates,
                       "File of [[gate]]s to judge by, beside the profile's (docs/gates.md)");
  add_ci_flags(verb, options->ci);
  CLI::Option* exit_code =
      verb->add_flag("--exit-code", options->exit_code,
                     "Exit as `run` would: 1 when a gate failed, 4 when one could not be decided");
  CLI::Option* serve =
      verb->add_flag("--serve", options->serve,
                     "Show the database in a browser, up to date while a sweep runs; without RUN "
                     "the list of runs");
  for (CLI::Option* other : {output, format, gates, exit_code}) serve->excludes(other);
  verb->add_option("--host", options->server.host, "Address to serve at")
      ->needs(serve)
      ->capture_default_str();
  verb->add_option("--port", options->server.port, "Port to serve at; 0 = any that is free")
      ->needs(serve)
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  add_color_flag(verb, common);
  verb->callback([options, run, &common] {
    if (options->serve) {
      options->server.database = common.db;
      return serve_reports(options->server, run->count() > 0 ? options->run : "");
    }
    runners::outcome::settle_unfinished(std::filesystem::path(common.db));
    const auto store = reports::Store::open_read_only(common.db);
    const reports::RunRow row = store->run(options->run);
    const reports::Page page =
        reports::build_page(*store, row.id, profile_with_gates(row, options->gates));
    write_ci_files(options->ci, reports::checks_of(page), reports::render_markdown(page));
    if (options->exit_code) common.exit_code = page.verdict.exit_code();
    if (options->output.empty() && options->formats.empty()) {
      std::fputs(reports::render_terminal(page, use_colour(STDOUT_FILENO, common)).c_str(), stdout);
      return;
    }
    if (options->output.empty()) options->output = "-";
    if (options->formats.empty()) options->formats = {"html", "md", "json"};
    if (options->output == "-" && options->formats.size() != 1) {
      throw Error(ErrorCode::kUsage, "standard output takes one format",
                  "Add for example `--format md`.");
    }
    write_formats(page, *options);
  });
}

}  // namespace ds4::cli

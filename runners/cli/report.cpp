// `report`: the page of a stored run, in any format.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "reports/pages/page.h"
#include "reports/pages/render.h"
#include "runners/cli/console.h"
#include "runners/cli/verbs.h"
#include "runners/outcome/unfinished.h"

namespace ds4::cli {
namespace {

struct Format {
  const char* name;
  std::string (*render)(const reports::Page&);
};
constexpr Format kFormats[] = {{"html", reports::render_html},
                               {"md", reports::render_markdown},
                               {"json", reports::render_json}};

struct ReportOptions {
  std::string run = "latest", output;
  std::vector<std::string> formats;
};

void write_formats(const reports::Page& page, const ReportOptions& options) {
  for (const std::string& wanted : options.formats) {
    for (const Format& format : kFormats) {
      if (wanted != format.name) continue;
      if (options.output == "-") {
        std::fputs(format.render(page).c_str(), stdout);
        continue;
      }
      make_folders(options.output);
      const auto path =
          std::filesystem::path(options.output) / (std::string("report.") + format.name);
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
      "  ds4-sweep report latest -o out              write out/report.html, .md and .json\n"
      "  ds4-sweep report 3f2a --format md -o -      Markdown to standard output");
  verb->add_option("RUN", options->run, "Run id, a unique beginning of it, or `latest`")
      ->capture_default_str();
  verb->add_option("--db", common.db, "Database file")
      ->envname("DS4_SWEEP_DB")
      ->capture_default_str();
  verb->add_option("-o,--output", options->output, "Folder to write to; `-` is standard output");
  verb->add_option("--format", options->formats, "html, md, json (default: all)")
      ->delimiter(',')
      ->check(CLI::IsMember({"html", "md", "json"}));
  verb->add_flag("--no-color", common.no_color, "No colours");
  verb->callback([options, &common] {
    runners::outcome::settle_unfinished(std::filesystem::path(common.db));
    const auto store = reports::Store::open_read_only(common.db);
    const reports::Page page = reports::build_page(*store, store->run(options->run).id);
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

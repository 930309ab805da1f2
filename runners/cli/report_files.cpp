#include "runners/cli/report_files.h"

#include <algorithm>
#include <cstdio>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "reports/pages/render.h"

namespace ds4::cli {
namespace {

struct File {
  const char* format;
  const char* name;
  std::string (*render)(const reports::Page&);
};
constexpr File kFiles[] = {{"html", "report.html", reports::render_html},
                           {"md", "report.md", reports::render_markdown},
                           {"json", "report.json", reports::render_json},
                           {"csv", "cells.csv", reports::render_cells_csv},
                           {"csv", "figures.csv", reports::render_figures_csv},
                           {"ds4-bench", "frontiers.csv", reports::render_ds4_bench}};

}  // namespace

std::vector<std::string> report_formats() {
  std::vector<std::string> names;
  for (const File& file : kFiles) {
    if (names.empty() || names.back() != file.format) names.push_back(file.format);
  }
  return names;
}

void check_output(const std::vector<std::string>& formats, const std::string& output) {
  if (output != "-") return;
  const auto n_files = std::count_if(std::begin(kFiles), std::end(kFiles), [&](const File& file) {
    return std::find(formats.begin(), formats.end(), file.format) != formats.end();
  });
  if (n_files == 1) return;
  throw Error(ErrorCode::kUsage,
              "standard output takes one file, these would be " + std::to_string(n_files),
              "Name a folder with `-o FOLDER`, or one format, for example `--format md`.");
}

void write_report_file(const std::string& text, const char* name,
                       const std::filesystem::path& output) {
  if (output == "-") {
    std::fwrite(text.data(), 1, text.size(), stdout);
    return;
  }
  make_folders(output);
  write_file_atomic(output / name, text);
  std::puts((output / name).c_str());
}

void write_report(const reports::Page& page, const std::vector<std::string>& formats,
                  const std::filesystem::path& output) {
  for (const File& file : kFiles) {
    if (std::find(formats.begin(), formats.end(), file.format) == formats.end()) continue;
    write_report_file(file.render(page), file.name, output);
  }
}

}  // namespace ds4::cli

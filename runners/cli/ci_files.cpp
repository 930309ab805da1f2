#include "runners/cli/ci_files.h"

#include <CLI/CLI.hpp>
#include <fstream>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "reports/pages/checks.h"

namespace ds4::cli {

void add_ci_flags(CLI::App* verb, CiFiles& files) {
  verb->add_option("--junit", files.junit, "Write the checks as JUnit XML to this file");
  verb->add_option("--summary", files.summary,
                   "Append the result as Markdown to this file, e.g. \"$GITHUB_STEP_SUMMARY\"");
}

void write_ci_files(const CiFiles& files, const reports::CheckList& checks,
                    const std::function<std::string()>& markdown) {
  if (!files.junit.empty()) write_file_atomic(files.junit, reports::render_junit(checks));
  if (files.summary.empty()) return;
  std::ofstream summary(files.summary, std::ios::app | std::ios::binary);
  summary << markdown() << "\n";
  summary.flush();
  if (!summary) {
    throw Error(ErrorCode::kIo, files.summary + ": cannot be written",
                "Check the folder and the space left, or name another file with --summary.");
  }
}

}  // namespace ds4::cli

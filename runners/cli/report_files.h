// The files of `report`: which formats there are, and where each is written.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "reports/pages/page.h"

namespace ds4::cli {

/// Names that --format takes: html, md, json, csv, ds4-bench.
std::vector<std::string> report_formats();

/// Throws Error(kUsage) where standard output cannot take these: it takes one file.
void check_output(const std::vector<std::string>& formats, const std::string& output);

/// Writes a page as files into a folder, and their names to standard output; `-` is standard output
/// itself.
void write_report(const reports::Page& page, const std::vector<std::string>& formats,
                  const std::filesystem::path& output);

/// One text as a file of that name, likewise.
void write_report_file(const std::string& text, const char* name,
                       const std::filesystem::path& output);

}  // namespace ds4::cli

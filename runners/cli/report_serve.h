// `report --serve`: the pages of a database while it is written.
#pragma once

#include <string>

#include "runners/serve/report_server.h"

namespace ds4::cli {

/// Serves until Ctrl-C and says where. `run`: the one whose address is printed, "" = the list.
/// Throws ds4::Error.
void serve_reports(const runners::serve::ReportSettings& settings, const std::string& run);

}  // namespace ds4::cli

// The pages of `report --serve` around those of the runs: one that keeps a page up to date in a
// frame, and the list of runs. Nothing of this is in a report that is written to a file.
#pragma once

#include <span>
#include <string>

#include "reports/store/store.h"

namespace ds4::reports {

/// A page that shows what `page` (a path of the server) gives and, when the text at `version`
/// changes, the new one in its place: what was open stays open, scroll position and focus stay.
/// Its policy lets its one script reach its own server, and nothing else.
std::string render_live(const std::string& title, const std::string& page,
                        const std::string& version);

/// The runs of a database, newest first, with links to `/runs/ID`.
std::string render_runs(const std::string& database, std::span<const RunRow> runs);

}  // namespace ds4::reports

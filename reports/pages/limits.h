// How much of a large run fits on its page. docs/method.md states the rule; `report --full` is the
// page without it, and JSON and CSV always have every figure.
#pragma once

#include <cstddef>
#include <string>

#include "reports/pages/page.h"

namespace ds4::reports {

// Bytes of HTML: together with styles, script and charts less than 2 MB.
inline constexpr size_t kTablesBytes = 600'000;   // all tables of the page, those of charts too
inline constexpr size_t kAnswersBytes = 500'000;  // the answers that open
inline constexpr size_t kItemsBytes = 100'000;    // of each section, what else opens
inline constexpr size_t kChartsBytes = 250'000;   // what all charts draw
inline constexpr size_t kSeries = 24;             // of a chart: more cannot be told apart
inline constexpr size_t kTextBytes = 2048;        // each text of an item: head and tail
inline constexpr size_t kParagraphs = 20;         // of a section

/// What an item takes as HTML.
size_t html_bytes(const Item& item);

/// "ds4-sweep report 3f2a1b0c --full -o FOLDER"
std::string full_command(const RunRow& run);

/// What limit_page() will surely cut of this section, already: series of charts, and of tables that
/// are too large for the page all by themselves what cannot stay. So a large sweep is never held as
/// tables all at once.
void limit_section(Section& section, const std::string& command);

/// Cuts tables, charts, items and paragraphs to these sizes. Of a table that is cut the rows with
/// something bad come first, then undecided ones, each in their order; its caption says how many
/// are left out and that `command` shows them.
void limit_page(Page& page, const std::string& command);

}  // namespace ds4::reports

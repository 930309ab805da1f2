// The page in each format. All texts are treated as hostile: see escape.h.
#pragma once

#include <string>

#include "reports/pages/page.h"

namespace ds4::reports {

/// One self-contained file: no script, no request of any kind.
std::string render_html(const Page& page);
std::string render_markdown(const Page& page);
/// One section of it: heading, tables and, unless it has items to open, paragraphs.
std::string markdown_section(const Section& section);
/// One object; docs/schema.md describes it. Its `format` rises when a reader must change.
std::string render_json(const Page& page);
/// A row for each cell, and a row for each figure: RFC 4180, with titles, harmless in spreadsheets.
std::string render_cells_csv(const Page& page);
std::string render_figures_csv(const Page& page);
/// The steps of a walk (Page::frontiers) as CSV with the columns of ds4-bench, with a column `cell`
/// or `launch` in front where there are several.
std::string render_ds4_bench(const Page& page);
/// Aligned tables. Colour only on request; words and signs carry the meaning.
std::string render_terminal(const Page& page, bool colour);

/// One aligned table for a terminal, and one text in its tone: what render_terminal() is made of.
std::string terminal_table(const Table& table, bool colour);
std::string terminal_text(const std::string& text, Tone tone, bool colour);

}  // namespace ds4::reports

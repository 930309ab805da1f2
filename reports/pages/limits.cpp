#include "reports/pages/limits.h"

#include <algorithm>
#include <set>
#include <span>

#include "reports/pages/escape.h"

namespace ds4::reports {
namespace {

constexpr size_t kCellMarkup = 40;    // <td class="number unsure"></td>
constexpr size_t kTableMarkup = 400;  // without rows
constexpr size_t kItemMarkup = 160, kPartMarkup = 60;
// Rows of each table that a page which is too large is tried with, from the most to the fewest.
constexpr size_t kRows[] = {2000, 1000, 500, 200, 100, 50, 20, 10, 5, 2, 1};
constexpr size_t kPoints[] = {400, 200, 100, 50, 20, 10};  // of each series, likewise
constexpr size_t kTablesPerSection = 20;                   // where not all fit

std::string count(size_t n) {
  std::string digits = std::to_string(n);
  for (size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
  return digits;
}

// 0 = look at it first.
int rank(const std::vector<TableCell>& row) {
  int best = 2;
  for (const TableCell& cell : row) {
    if (cell.tone == Tone::kBad) best = 0;
    if (cell.tone == Tone::kUnsure) best = std::min(best, 1);
  }
  return best;
}

int rank(const Table& table) {
  int best = 2;
  for (const auto& row : table.rows) best = std::min(best, rank(row));
  return best;
}

// A table as HTML, by the number of rows that are shown.
struct Size {
  Table* table = nullptr;
  std::vector<size_t> row_order;  // places, those to look at first in front
  std::vector<size_t> bytes;      // of the first so many of them, and of the rest of the table

  size_t of(size_t n_rows) const { return bytes[std::min(n_rows, bytes.size() - 1)]; }
};

size_t row_bytes(const std::vector<TableCell>& row) {
  size_t bytes = 10;
  for (const TableCell& cell : row) bytes += escape_html(cell.text).size() + kCellMarkup;
  return bytes;
}

size_t caption_bytes(const Table& table) {
  return kTableMarkup + escape_html(table.caption).size();
}

// Places of the rows, those to look at first in front.
std::vector<size_t> order_of(const Table& table) {
  std::vector<int> ranks;
  std::vector<size_t> order;
  for (const auto& row : table.rows) {
    order.push_back(ranks.size());
    ranks.push_back(rank(row));
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return ranks[a] < ranks[b]; });
  return order;
}

Size size_of(Table& table) {
  Size size{&table, order_of(table), {caption_bytes(table)}};
  for (const size_t place : size.row_order) {
    size.bytes.push_back(size.bytes.back() + row_bytes(table.rows[place]));
  }
  return size;
}

size_t bytes_with(std::span<const Size> sizes, size_t n_rows) {
  size_t bytes = 0;
  for (const Size& size : sizes) bytes += size.of(n_rows);
  return bytes;
}

std::vector<Table*> tables_of(Section& section) {
  std::vector<Table*> tables;
  for (Chart& chart : section.charts) tables.push_back(&chart.table);
  for (Table& table : section.tables) tables.push_back(&table);
  return tables;
}

// Whether tables take more than a page has room for.
bool too_large(const std::vector<Table*>& tables) {
  size_t bytes = 0;
  for (const Table* table : tables) {
    bytes += caption_bytes(*table);
    for (const auto& row : table->rows) {
      if (bytes > kTablesBytes) return true;
      bytes += row_bytes(row);
    }
  }
  return bytes > kTablesBytes;
}

// The first rows in this order stay.
void keep_rows(Table& table, const std::vector<size_t>& order, size_t n_rows) {
  if (table.rows.size() <= n_rows) return;
  std::vector<std::vector<TableCell>> rows;
  for (size_t i = 0; i < n_rows; ++i) rows.push_back(std::move(table.rows[order[i]]));
  table.n_left_out += table.rows.size() - n_rows;
  table.rows = std::move(rows);
}

// A section of a large sweep can have tables of every cell.
void cut_tables(Section& section, const std::string& command) {
  const size_t n = section.tables.size();
  if (n <= kTablesPerSection) return;
  std::stable_sort(section.tables.begin(), section.tables.end(),
                   [](const Table& a, const Table& b) { return rank(a) < rank(b); });
  section.tables.resize(kTablesPerSection);
  section.tables.back().caption +=
      " (" + count(n - kTablesPerSection) + " more tables of this section: `" + command + "`.)";
}

// What every section of a page that is over its limit loses.
void cut_section(Section& section, const std::string& command) {
  if (section.cut) return;
  section.cut = true;
  cut_tables(section, command);
  for (Table* table : tables_of(section)) keep_rows(*table, order_of(*table), kRows[0]);
  for (Table& table : section.tables) {
    for (auto& row : table.rows) {
      for (TableCell& cell : row) cell.text = head_and_tail(cell.text, kTextBytes);
    }
  }
}

void limit_tables(Page& page, const std::string& command) {
  std::vector<Table*> all;
  bool over = false;
  for (Section& section : page.sections) {
    over = over || section.cut;
    for (Table* table : tables_of(section)) all.push_back(table);
  }
  if (!over && !too_large(all)) return;
  std::vector<Size> sizes;
  for (Section& section : page.sections) {
    cut_section(section, command);
    for (Table* table : tables_of(section)) sizes.push_back(size_of(*table));
  }
  const auto fits = std::find_if(std::begin(kRows), std::end(kRows), [&](size_t n_rows) {
    return bytes_with(sizes, n_rows) <= kTablesBytes;
  });
  const size_t n_rows = fits == std::end(kRows) ? 1 : *fits;
  for (const Size& size : sizes) {
    Table& table = *size.table;
    keep_rows(table, size.row_order, n_rows);
    if (table.n_left_out == 0) continue;
    table.caption += (table.caption.empty() ? "" : " ") + count(table.rows.size()) + " of " +
                     count(table.rows.size() + table.n_left_out) + " rows, what failed first; `" +
                     command + "` shows all.";
  }
}

bool is_faint(const ChartSeries& series) {
  return std::all_of(series.points.begin(), series.points.end(),
                     [](const ChartPoint& point) { return point.faint; });
}

// Raw values behind a line go before anything else; faint marks that stand for themselves stay.
void drop_raw_values(Chart& chart) {
  std::set<std::string> lines;
  for (const ChartSeries& series : chart.series) {
    if (!is_faint(series)) lines.insert(series.key);
  }
  std::erase_if(chart.series, [&](const ChartSeries& series) {
    return is_faint(series) && lines.contains(series.key);
  });
}

void limit_series(Chart& chart) {
  if (chart.series.size() <= kSeries) return;
  drop_raw_values(chart);
  const size_t n = chart.series.size();
  if (n <= kSeries) return;
  chart.series.resize(kSeries);
  chart.answer += " Drawn are the first " + count(kSeries) + " of " + count(n) + ".";
}

std::vector<const Chart*> charts_of(const Page& page) {
  std::vector<const Chart*> charts;
  for (const Section& section : page.sections) {
    for (const Chart& chart : section.charts) charts.push_back(&chart);
  }
  return charts;
}

void thin(Chart& chart, size_t most) {
  drop_raw_values(chart);
  for (ChartSeries& series : chart.series) {
    if (series.form == ChartForm::kArea) continue;  // stacked: all have the same x
    series.points = thinned(std::move(series.points), most);
  }
}

void drop_notes(Chart& chart) {
  for (ChartSeries& series : chart.series) {
    for (ChartPoint& point : series.points) point.note.clear();
  }
}

// The first half of a section's pictures; their tables and sentences are what they draw.
void drop_half(Section& section) {
  if (section.charts.size() < 2) {
    section.charts.clear();
  } else {
    section.charts.resize(section.charts.size() / 2);
  }
}

void limit_charts(Page& page, const std::string& command) {
  const auto fits = [&] { return charts_json(charts_of(page)).size() <= kChartsBytes; };
  const auto each = [&](const auto& change) {
    for (Section& section : page.sections) {
      for (Chart& chart : section.charts) change(chart);
    }
  };
  each(limit_series);
  for (const size_t most : kPoints) {
    if (fits()) return;
    each([&](Chart& chart) { thin(chart, most); });
  }
  if (!fits()) each(drop_notes);
  const size_t before = charts_of(page).size();
  while (!fits()) {
    for (Section& section : page.sections) drop_half(section);
  }
  const size_t left_out = before - charts_of(page).size();
  if (left_out == 0) return;
  page.sections.back().paragraphs.push_back(count(left_out) + " pictures are left out; `" +
                                            command + "` draws all.");
}

void limit_items(Section& section, const std::string& command) {
  size_t bytes = 0, kept = 0;
  while (kept < section.items.size() && (bytes += html_bytes(section.items[kept])) <= kItemsBytes) {
    ++kept;
  }
  if (kept == section.items.size()) return;
  section.paragraphs.push_back(count(kept) + " of " + count(section.items.size()) +
                               " open below; `" + command + "` shows all.");
  section.items.resize(kept);
}

void limit_paragraphs(Section& section, const std::string& command) {
  const size_t n = section.paragraphs.size();
  if (n <= kParagraphs) return;
  section.paragraphs.resize(kParagraphs);
  section.paragraphs.push_back(count(n - kParagraphs) + " more remarks: `" + command + "`.");
}

}  // namespace

size_t html_bytes(const Item& item) {
  size_t bytes = kItemMarkup + escape_html(item.title).size();
  for (const Item::Part& part : item.parts) {
    bytes += kPartMarkup + escape_html(part.label).size() + escape_html(part.text).size();
  }
  return bytes;
}

std::string full_command(const RunRow& run) {
  return "ds4-sweep report " + run.id.substr(0, 8) + " --full -o FOLDER";
}

void limit_section(Section& section, const std::string& command) {
  for (Chart& chart : section.charts) limit_series(chart);
  if (too_large(tables_of(section))) cut_section(section, command);
}

void limit_page(Page& page, const std::string& command) {
  limit_tables(page, command);
  limit_charts(page, command);
  for (Section& section : page.sections) {
    if (section.id != "quality") limit_items(section, command);  // its answers have been chosen
    limit_paragraphs(section, command);
  }
}

}  // namespace ds4::reports

// The page as Markdown: verdict and tables, to be pasted into an issue unchanged.
#include "reports/pages/escape.h"
#include "reports/pages/render.h"

namespace ds4::reports {
namespace {

void append_table(std::string& out, const Table& table) {
  if (!table.caption.empty()) out += escape_markdown(table.caption) + "\n\n";
  out += "|";
  for (const TableColumn& column : table.columns) out += " " + escape_markdown(column.title) + " |";
  out += "\n|";
  for (const TableColumn& column : table.columns) out += column.number ? "---:|" : "---|";
  out += "\n";
  for (const auto& row : table.rows) {
    out += "|";
    for (const TableCell& cell : row) out += " " + escape_markdown(cell.text) + " |";
    out += "\n";
  }
  out += "\n";
}

// As an indented block, which nothing in the text can end.
void append_item(std::string& out, const Item& item) {
  out += "**" + escape_markdown(item.title) + "**\n\n";
  for (const Item::Part& part : item.parts) {
    out += escape_markdown(part.label) + ":\n\n    ";
    const std::string text = clean_text(part.text);
    for (size_t i = 0; i < text.size(); ++i) {
      out += text[i];
      if (text[i] == '\n' && i + 1 < text.size()) out += "    ";
    }
    out += text.ends_with('\n') ? "\n" : "\n\n";
  }
}

}  // namespace

std::string markdown_section(const Section& section) {
  std::string out = "## " + escape_markdown(section.title) + "\n\n";
  for (const Chart& chart : section.charts) {
    out += "**" + escape_markdown(chart.title) + "** " + escape_markdown(chart.answer) + "\n\n";
  }
  for (const Table& table : section.tables) append_table(out, table);
  // The paragraph that introduces openable items belongs to the HTML page alone.
  if (section.items.empty()) {
    for (const std::string& paragraph : section.paragraphs) {
      out += escape_markdown(paragraph) + "\n\n";
    }
  }
  for (const Item& item : section.items) {
    if (item.in_markdown) append_item(out, item);
  }
  return out;
}

std::string render_markdown(const Page& page) {
  const PageHead& head = page.head;
  std::string out = "# " + escape_markdown(head.title) + ": " + escape_markdown(head.sign) + " " +
                    escape_markdown(head.word) + "\n\n";
  out += escape_markdown(head.reason) + " " + escape_markdown(head.next_step) + "\n\n";
  for (size_t i = 0; i < head.deploy.size(); ++i) {
    out += (i > 0 ? "- " : "") + escape_markdown(head.deploy[i]) + (i == 0 ? "\n\n" : "\n");
  }
  if (head.deploy.size() > 1) out += "\n";
  for (const Section& section : page.sections) out += markdown_section(section);
  out.pop_back();
  return out;
}

}  // namespace ds4::reports

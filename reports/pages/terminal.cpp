// The page on a terminal: verdict, then aligned tables. Readable without colour and when piped.
#include <algorithm>

#include "reports/pages/escape.h"
#include "reports/pages/render.h"

namespace ds4::reports {
namespace {

// Columns a text takes: code points, which is exact for everything but wide scripts.
size_t width(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

const char* colour_code(Tone tone) {
  switch (tone) {
    case Tone::kGood:
      return "\033[32m";
    case Tone::kBad:
      return "\033[31m";
    case Tone::kUnsure:
      return "\033[33m";
    case Tone::kMuted:
      return "\033[2m";
    case Tone::kPlain:
      return "";
  }
  return "";
}

// Tables of a section that only their captions tell apart: the same columns in each.
bool needs_caption(const Section& section, const Table& table) {
  return std::count_if(section.tables.begin(), section.tables.end(), [&](const Table& other) {
           return other.in_terminal &&
                  std::equal(other.columns.begin(), other.columns.end(), table.columns.begin(),
                             table.columns.end(),
                             [](const auto& a, const auto& b) { return a.title == b.title; });
         }) > 1;
}

}  // namespace

std::string terminal_text(const std::string& text, Tone tone, bool colour) {
  if (!colour || tone == Tone::kPlain || text.empty()) return text;
  return colour_code(tone) + text + "\033[0m";
}

std::string terminal_table(const Table& table, bool colour) {
  std::string out;
  std::vector<size_t> shown, widths;
  for (size_t c = 0; c < table.columns.size(); ++c) {
    if (!table.columns[c].in_terminal) continue;
    size_t widest = width(table.columns[c].title);
    for (const auto& row : table.rows) widest = std::max(widest, width(clean_line(row[c].text)));
    shown.push_back(c);
    widths.push_back(widest);
  }
  const auto line = [&](const auto& text_of, const auto& tone_of) {
    std::string text = " ";
    for (size_t i = 0; i < shown.size(); ++i) {
      const std::string cell = clean_line(text_of(shown[i]));
      const std::string padding(widths[i] - width(cell), ' ');
      const bool number = table.columns[shown[i]].number;
      const bool last = i + 1 == shown.size();
      text += " " + (number ? padding : "") + terminal_text(cell, tone_of(shown[i]), colour) +
              (number || last ? "" : padding) + (last ? "" : " ");
    }
    while (text.ends_with(' ')) text.pop_back();
    out += text + "\n";
  };
  line([&](size_t c) { return table.columns[c].title; }, [](size_t) { return Tone::kMuted; });
  for (const auto& row : table.rows) {
    line([&](size_t c) { return row[c].text; }, [&](size_t c) { return row[c].tone; });
  }
  return out;
}

std::string render_terminal(const Page& page, bool colour) {
  std::string out;
  for (const Section& section : page.sections) {
    const bool shown = std::any_of(section.tables.begin(), section.tables.end(),
                                   [](const Table& table) { return table.in_terminal; });
    if (!shown) continue;
    if (!out.empty()) out += "\n";
    out += clean_line(section.title) + "\n";
    bool first = true;
    for (const Table& table : section.tables) {
      if (!table.in_terminal) continue;
      if (!first) out += "\n";
      first = false;
      if (needs_caption(section, table)) out += "  " + clean_line(table.caption) + "\n";
      out += terminal_table(table, colour);
    }
  }
  // The verdict comes last: it is what the eye finds above the prompt.
  const PageHead& head = page.head;
  if (!out.empty()) out += "\n";
  out += terminal_text(head.sign + " " + head.word, head.tone, colour);
  out += "  " + clean_line(head.title) + ", " + clean_line(head.subject) + ": " +
         clean_line(head.reason) + "\n";
  for (const std::string& line : head.deploy) out += "  " + clean_line(line) + "\n";
  if (head.tone != Tone::kGood) out += "  " + clean_line(head.next_step) + "\n";
  return out;
}

}  // namespace ds4::reports

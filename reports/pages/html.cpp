// The page as one self-contained HTML file. No script, no font, no image: a policy in its head
// forbids every request, and each text passes escape_html().
#include "reports/pages/escape.h"
#include "reports/pages/render.h"

namespace ds4::reports {

extern const std::string_view page_css;  // page.css, embedded at build time

namespace {

const char* tone_class(Tone tone) {
  switch (tone) {
    case Tone::kGood:
      return "good";
    case Tone::kBad:
      return "bad";
    case Tone::kUnsure:
      return "unsure";
    case Tone::kMuted:
      return "muted";
    case Tone::kPlain:
      return "";
  }
  return "";
}

// ` class="..."` for the classes that are not empty.
std::string classes(const std::string& a, const std::string& b) {
  if (a.empty() && b.empty()) return "";
  return " class=\"" + a + (a.empty() || b.empty() ? "" : " ") + b + "\"";
}

void append_table(std::string& out, const Table& table) {
  out += "<div class=\"scroll\"><table>\n<caption>" + escape_html(table.caption) +
         "</caption>\n<thead><tr>";
  for (const TableColumn& column : table.columns) {
    out += "<th scope=\"col\"" + classes(column.number ? "number" : "", "") + ">" +
           escape_html(column.title) + "</th>";
  }
  out += "</tr></thead>\n<tbody>\n";
  for (const auto& row : table.rows) {
    out += "<tr>";
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string attributes =
          classes(table.columns[i].number ? "number" : "", tone_class(row[i].tone));
      out += i == 0 ? "<th scope=\"row\"" + attributes + ">" : "<td" + attributes + ">";
      out += escape_html(row[i].text) + (i == 0 ? "</th>" : "</td>");
    }
    out += "</tr>\n";
  }
  out += "</tbody></table></div>\n";
}

void append_item(std::string& out, const Item& item) {
  out += "<details><summary" + classes(tone_class(item.tone), "") + ">" + escape_html(item.title) +
         "</summary>\n<dl>\n";
  for (const Item::Part& part : item.parts) {
    out += "<dt>" + escape_html(part.label) + "</dt><dd><pre>" + escape_html(part.text) +
           "</pre></dd>\n";
  }
  out += "</dl></details>\n";
}

const char* verdict_class(Decision decision) {
  if (decision == Decision::kPass) return "good";
  return decision == Decision::kFail ? "bad" : "unsure";
}

}  // namespace

std::string render_html(const Page& page) {
  const Verdict& verdict = page.verdict;
  const std::string name = escape_html(page.run.profile_name);
  const std::string id = escape_html(page.run.id.substr(0, 8));
  std::string out =
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'unsafe-inline'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>";
  out += std::string(word(verdict.decision)) + ": " + name + ", run " + id + "</title>\n<style>\n";
  out += page_css;
  out += "</style>\n</head>\n<body>\n<header>\n<p class=\"verdict ";
  out += verdict_class(verdict.decision);
  out += "\"><span aria-hidden=\"true\">" + std::string(sign(verdict.decision)) + "</span> " +
         word(verdict.decision) + "</p>\n<h1>" + name + "</h1>\n<p class=\"reason\">" +
         escape_html(verdict.reason) + "</p>\n<p>" + escape_html(verdict.next_step) +
         "</p>\n<p class=\"muted\">run " + id + ", started " + escape_html(page.run.started_at) +
         ", commit " + escape_html(page.run.commit.substr(0, 12)) +
         (page.run.dirty ? " with uncommitted changes" : "") +
         "</p>\n</header>\n<nav aria-label=\"Sections\"><ul>\n";
  for (const Section& section : page.sections) {
    out += "<li><a href=\"#" + escape_html(section.id) + "\">" + escape_html(section.title) +
           "</a></li>\n";
  }
  out += "</ul></nav>\n<main>\n";
  for (const Section& section : page.sections) {
    const std::string section_id = escape_html(section.id);
    out += "<section id=\"" + section_id + "\" aria-labelledby=\"" + section_id +
           "-title\">\n<h2 id=\"" + section_id + "-title\">" + escape_html(section.title) +
           "</h2>\n";
    for (const Table& table : section.tables) append_table(out, table);
    for (const std::string& paragraph : section.paragraphs) {
      out += "<p>" + escape_html(paragraph) + "</p>\n";
    }
    for (const Item& item : section.items) append_item(out, item);
    out += "</section>\n";
  }
  out += "</main>\n</body>\n</html>\n";
  return out;
}

}  // namespace ds4::reports

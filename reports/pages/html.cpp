// The page as one self-contained HTML file, complete without its scripts. A policy in its head
// forbids every request and every script and style but the embedded ones, by their hashes; each
// text passes escape_html().
#include <algorithm>
#include <cctype>
#include <cmath>

#include "engine/base/hash.h"
#include "reports/pages/escape.h"
#include "reports/pages/render.h"

namespace ds4::reports {

// Embedded at build time.
extern const std::string_view page_css, chart_js, page_decorations_js, page_charts_js, page_js;

namespace {

// In the order in which they run: each uses what is before it.
const std::string_view* const kScripts[] = {&chart_js, &page_decorations_js, &page_charts_js,
                                            &page_js};

constexpr int kHeatSteps = 10;  // step0 to step10 of page.css

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

// "heat step7" of 0 to 1; of differences "less step3" or "more step3".
std::string heat_class(double heat, bool diverging) {
  const double size = std::clamp(diverging ? std::abs(heat) : heat, 0.0, 1.0);
  const std::string step = std::to_string(static_cast<int>(std::lround(size * kHeatSteps)));
  if (!diverging) return "heat step" + step;
  return (heat < 0 ? "less step" : "more step") + step;
}

// ` class="..."` for the classes that are not empty.
std::string classes(std::initializer_list<std::string> names) {
  std::string out;
  for (const std::string& name : names) {
    if (!name.empty()) out += (out.empty() ? "" : " ") + name;
  }
  return out.empty() ? "" : " class=\"" + out + "\"";
}

bool is_heat_map(const Table& table) {
  for (const auto& row : table.rows) {
    for (const TableCell& cell : row) {
      if (cell.heat) return true;
    }
  }
  return false;
}

void append_table(std::string& out, const Table& table) {
  const bool heat_map = is_heat_map(table);
  out += "<div class=\"scroll\"><table" + classes({heat_map ? "map" : ""}) + ">\n<caption><span>" +
         escape_html(table.caption) + "</span></caption>\n<thead><tr>";
  for (const TableColumn& column : table.columns) {
    out += "<th scope=\"col\"" + classes({column.number ? "number" : ""}) + ">" +
           escape_html(column.title) + "</th>";
  }
  out += "</tr></thead>\n<tbody>\n";
  for (const auto& row : table.rows) {
    out += "<tr>";
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string heat = row[i].heat         ? heat_class(*row[i].heat, table.diverging)
                               : heat_map && i > 0 ? "blank"
                                                   : "";
      const std::string attributes =
          classes({table.columns[i].number ? "number" : "", tone_class(row[i].tone), heat});
      out += i == 0 ? "<th scope=\"row\"" + attributes + ">" : "<td" + attributes + ">";
      out += escape_html(row[i].text) + (i == 0 ? "</th>" : "</td>");
    }
    out += "</tr>\n";
  }
  out += "</tbody></table></div>\n";
}

// Heat maps in a row stand beside each other where there is room, to be compared.
void append_tables(std::string& out, const std::vector<Table>& tables) {
  bool in_row = false;
  for (const Table& table : tables) {
    if (is_heat_map(table) != in_row) {
      out += in_row ? "</div>\n" : "<div class=\"maps\">\n";
      in_row = !in_row;
    }
    append_table(out, table);
  }
  if (in_row) out += "</div>\n";
}

// Question, answer and data; the page's script puts the picture between them.
void append_chart(std::string& out, const Chart& chart) {
  const std::string id = escape_html(chart.id);
  out += "<figure id=\"chart-" + id + "\">\n<figcaption><h3>" + escape_html(chart.title) +
         "</h3>\n<p>" + escape_html(chart.answer) +
         "</p></figcaption>\n<div class=\"picture\" data-chart=\"" + id + "\"></div>\n";
  if (!chart.table.columns.empty()) {
    out += "<details><summary>Its data</summary>\n";
    append_table(out, chart.table);
    out += "</details>\n";
  }
  out += "</figure>\n";
}

void append_item(std::string& out, const std::string& id, const Item& item) {
  out += "<details id=\"" + id + "\" class=\"item\"><summary" + classes({tone_class(item.tone)}) +
         ">" + escape_html(item.title) + "</summary>\n<dl>\n";
  for (const Item::Part& part : item.parts) {
    out += "<dt>" + escape_html(part.label) + "</dt><dd><pre>" + escape_html(part.text) +
           "</pre></dd>\n";
  }
  out += "</dl></details>\n";
}

void append_section(std::string& out, const Section& section) {
  const std::string id = escape_html(section.id);
  out += "<section id=\"" + id + "\" aria-labelledby=\"" + id + "-title\">\n<h2 id=\"" + id +
         "-title\">" + escape_html(section.title) + "</h2>\n";
  for (const Chart& chart : section.charts) append_chart(out, chart);
  append_tables(out, section.tables);
  for (const std::string& paragraph : section.paragraphs) {
    out += "<p>" + escape_html(paragraph) + "</p>\n";
  }
  for (size_t i = 0; i < section.items.size(); ++i) {
    append_item(out, id + "-" + std::to_string(i + 1), section.items[i]);
  }
  out += "</section>\n";
}

// What may run and how it may look: nothing but what was embedded.
std::string content_policy(std::initializer_list<std::string_view> sheets) {
  std::string policy = "default-src 'none'; style-src";
  for (const std::string_view sheet : sheets) policy += " 'sha256-" + sha256_base64(sheet) + "'";
  policy += "; script-src";
  for (const auto* script : kScripts) policy += " 'sha256-" + sha256_base64(*script) + "'";
  return policy + "; base-uri 'none'; form-action 'none'";
}

// What stands in the margin of each printed page.
std::string margin_sheet(const RunRow& run) {
  const auto letters = [](const std::string& text, size_t most) {
    std::string out;
    for (const char c : text) {
      if (std::isalnum(static_cast<unsigned char>(c)) && out.size() < most) out += c;
    }
    return out;
  };
  return "@page { @bottom-left { content: \"ds4-sweep, run " + letters(run.id, 8) + ", commit " +
         letters(run.commit, 12) + "\"; } }";
}

void append_script(std::string& out, std::string_view script) {
  out += "<script>";
  out += script;
  out += "</script>\n";
}

}  // namespace

std::string render_html(const Page& page) {
  const PageHead& head = page.head;
  std::vector<const Chart*> charts;
  for (const Section& section : page.sections) {
    for (const Chart& chart : section.charts) charts.push_back(&chart);
  }
  std::string out =
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"";
  const std::string margin = margin_sheet(page.run);
  out += content_policy({page_css, margin});
  out +=
      "\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>";
  out += escape_html(head.word + ": " + head.title + ", " + head.subject) + "</title>\n<style>";
  out += page_css;
  out += "</style>\n<style>" + margin + "</style>\n</head>\n<body>\n<header class=\"";
  out += tone_class(head.tone);
  out += "\">\n<p class=\"verdict\"><span aria-hidden=\"true\">" + escape_html(head.sign) +
         "</span> " + escape_html(head.word) + "</p>\n<h1>" + escape_html(head.title) +
         "</h1>\n<p class=\"reason\">" + escape_html(head.reason) + "</p>\n";
  for (size_t i = 0; i < head.deploy.size(); ++i) {
    out += i == 0 ? "<p class=\"deploy\">" : i == 1 ? "<ul class=\"deploy\">\n<li>" : "<li>";
    out += escape_html(head.deploy[i]) + (i == 0 ? "</p>\n" : "</li>\n");
  }
  if (head.deploy.size() > 1) out += "</ul>\n";
  out += "<p>" + escape_html(head.next_step) + "</p>\n<p class=\"muted\">" +
         escape_html(head.provenance) + "</p>\n</header>\n<nav aria-label=\"Sections\"><ul>\n";
  for (const Section& section : page.sections) {
    out += "<li><a href=\"#" + escape_html(section.id) + "\">" + escape_html(section.title) +
           "</a></li>\n";
  }
  out += "</ul></nav>\n<main>\n";
  for (const Section& section : page.sections) append_section(out, section);
  out += "</main>\n<script type=\"application/json\" id=\"charts\">" + charts_json(charts) +
         "</script>\n";
  for (const auto* script : kScripts) append_script(out, *script);
  out += "</body>\n</html>\n";
  return out;
}

}  // namespace ds4::reports

#include "reports/pages/live.h"

#include "engine/base/hash.h"
#include "reports/pages/escape.h"

namespace ds4::reports {

// Embedded at build time.
extern const std::string_view page_css, live_css, live_js;

namespace {

std::string head(const std::string& title, std::string_view style, const std::string& more) {
  std::string out =
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'sha256-" +
      sha256_base64(style) + "'" + more +
      "; base-uri 'none'; form-action 'none'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>" +
      escape_html(title) + "</title>\n<style>";
  out += style;
  return out + "</style>\n</head>\n";
}

}  // namespace

std::string render_live(const std::string& title, const std::string& page,
                        const std::string& version) {
  std::string out = head(
      title, live_css,
      "; script-src 'sha256-" + sha256_base64(live_js) + "'; connect-src 'self'; frame-src 'self'");
  out += "<body data-page=\"" + escape_html(page) + "\" data-version=\"" + escape_html(version) +
         "\">\n<header><a href=\"/\">All runs</a> <span id=\"status\" "
         "role=\"status\"></span></header>\n"
         "<main id=\"frames\"></main>\n<noscript><p>Without scripts: <a href=\"" +
         escape_html(page) + "\">the page as it is now</a>.</p></noscript>\n<script>";
  out += live_js;
  return out + "</script>\n</body>\n</html>\n";
}

std::string render_runs(const std::string& database, std::span<const RunRow> runs) {
  std::string out = head("Runs of " + database, page_css, "");
  out += "<body>\n<header><h1>Runs of " + escape_html(database) +
         "</h1></header>\n<main>\n<div class=\"scroll\"><table>\n<caption>Newest first.</caption>\n"
         "<thead><tr><th scope=\"col\">run</th><th scope=\"col\">profile</th><th "
         "scope=\"col\">begun</th><th scope=\"col\">ended</th></tr></thead>\n<tbody>\n";
  for (const RunRow& run : runs) {
    const std::string id = escape_html(run.id);
    out += "<tr><th scope=\"row\"><a target=\"_top\" href=\"/runs/" + id + "\">" +
           escape_html(run.id.substr(0, 8)) + "</a></th><td>" + escape_html(run.profile_name) +
           "</td><td>" + escape_html(run.started_at) + "</td><td>" +
           (run.finished_at.empty() ? "runs, or was interrupted" : escape_html(run.finished_at)) +
           "</td></tr>\n";
  }
  return out + "</tbody></table></div>\n</main>\n</body>\n</html>\n";
}

}  // namespace ds4::reports

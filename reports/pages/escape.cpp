#include "reports/pages/escape.h"

#include <cstdint>
#include <cstdio>

namespace ds4::reports {
namespace {

constexpr char kReplacement[] = "\xEF\xBF\xBD";  // U+FFFD

// Length of the valid UTF-8 sequence at `i`, or 0 (RFC 3629: no overlong forms, no surrogates).
size_t sequence_length(std::string_view s, size_t i, uint32_t& code) {
  const auto byte = [&](size_t k) { return static_cast<unsigned char>(s[k]); };
  const unsigned char first = byte(i);
  if (first < 0x80) {
    code = first;
    return 1;
  }
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || i + length > s.size()) return 0;
  code = first & (0x7fu >> length);
  for (size_t k = 1; k < length; ++k) {
    if ((byte(i + k) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(i + k) & 0x3fu);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kLeast[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return 0;
  return length;
}

// Directional overrides and isolates, zero-width characters and the like: they show a text as
// something else than it is.
bool hides(uint32_t code) {
  return (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
         (code >= 0x2060 && code <= 0x2069) || code == 0xfeff || code == 0x061c ||
         (code >= 0xfff9 && code <= 0xfffb) || (code >= 0xe0000 && code <= 0xe0fff);
}

void append_control_picture(std::string& out, uint32_t code) {
  const uint32_t picture = code == 0x7f ? 0x2421 : 0x2400 + code;  // ESC is shown as U+241B
  out += static_cast<char>(0xe0 | (picture >> 12));
  out += static_cast<char>(0x80 | ((picture >> 6) & 0x3f));
  out += static_cast<char>(0x80 | (picture & 0x3f));
}

std::string clean(std::string_view text, bool one_line) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    uint32_t code = 0;
    const size_t length = sequence_length(text, i, code);
    if (length == 0) {
      out += kReplacement;
      ++i;
      continue;
    }
    if (!one_line && (code == '\n' || code == '\t')) {
      out += static_cast<char>(code);
    } else if (code < 0x20 || code == 0x7f) {
      append_control_picture(out, code);
    } else if (code >= 0x80 && code < 0xa0) {
      out += kReplacement;  // C1 controls: 0x9b alone begins an escape on some terminals
    } else if (hides(code)) {
      char name[16];
      std::snprintf(name, sizeof name, "<U+%04X>", code);
      out += name;
    } else {
      out.append(text.substr(i, length));
    }
    i += length;
  }
  return out;
}

bool continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

/// A character that neither opens a tag nor an entity; Markdown passes both on to HTML.
std::string without_tags(char c) {
  return c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
}

}  // namespace

std::string clean_text(std::string_view text) {
  return clean(text, false);
}

std::string clean_line(std::string_view text) {
  return clean(text, true);
}

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : clean_text(text)) {
    if (c == '"') {
      out += "&quot;";
    } else if (c == '\'') {
      out += "&#39;";
    } else {
      out += without_tags(c);
    }
  }
  return out;
}

std::string escape_xml(std::string_view text) {
  std::string out = escape_html(text);
  for (const std::string_view none : {"\xEF\xBF\xBE", "\xEF\xBF\xBF"}) {
    for (size_t i = out.find(none); i != std::string::npos; i = out.find(none, i)) {
      out.replace(i, none.size(), kReplacement);
    }
  }
  return out;
}

std::string escape_markdown(std::string_view text) {
  constexpr std::string_view kMarks = "\\`*_[]|#~$";
  std::string out;
  for (const char c : clean_line(text)) {
    if (kMarks.find(c) != std::string_view::npos) out += '\\';
    out += without_tags(c);
  }
  return out;
}

std::string head_and_tail(std::string_view text, size_t limit) {
  if (text.size() <= limit) return std::string(text);
  size_t head = limit / 2, tail = text.size() - limit / 2;
  while (head > 0 && continuation(text[head])) --head;
  while (tail < text.size() && continuation(text[tail])) ++tail;
  return std::string(text.substr(0, head)) + "\n[… " + std::to_string(tail - head) +
         " bytes left out …]\n" + std::string(text.substr(tail));
}

}  // namespace ds4::reports

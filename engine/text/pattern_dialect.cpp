#include "engine/text/pattern_dialect.h"

#include <array>
#include <cstddef>
#include <stdexcept>

namespace ds4::text {
namespace {

// PCRE2 counts U+180E as a space, which has not been White_Space since Unicode 6.3.
constexpr std::string_view kWhiteSpace =
    R"(\x{09}-\x{0D}\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";

struct Category {
  char name;
  std::string_view since_unicode_15;
};

// Code points that Unicode 15 assigned (UnicodeData.txt 15.0.0 against 14.0.0; no existing code
// point changed its category). Debian 12 and Ubuntu 24.04 ship PCRE2 10.42 with Unicode 14.
constexpr std::array<Category, 5> kCategories = {{
    {'L', R"(\x{1123F}-\x{11240}\x{11F02}\x{11F04}-\x{11F10}\x{11F12}-\x{11F33}\x{1342F})"
          R"(\x{13441}-\x{13446}\x{1B132}\x{1B155}\x{1DF25}-\x{1DF2A}\x{1E030}-\x{1E06D})"
          R"(\x{1E4D0}-\x{1E4EB}\x{2B739}\x{31350}-\x{323AF})"},
    {'M', R"(\x{CF3}\x{ECE}\x{10EFD}-\x{10EFF}\x{11241}\x{11F00}-\x{11F01}\x{11F03})"
          R"(\x{11F34}-\x{11F3A}\x{11F3E}-\x{11F42}\x{13440}\x{13447}-\x{13455}\x{1E08F})"
          R"(\x{1E4EC}-\x{1E4EF})"},
    {'N', R"(\x{11F50}-\x{11F59}\x{1D2C0}-\x{1D2D3}\x{1E4F0}-\x{1E4F9})"},
    {'P', R"(\x{11B00}-\x{11B09}\x{11F43}-\x{11F4F})"},
    {'S', R"(\x{1F6DC}\x{1F774}-\x{1F776}\x{1F77B}-\x{1F77F}\x{1F7D9}\x{1FA75}-\x{1FA77})"
          R"(\x{1FA87}-\x{1FA88}\x{1FAAD}-\x{1FAAF}\x{1FABB}-\x{1FABD}\x{1FABF})"
          R"(\x{1FACE}-\x{1FACF}\x{1FADA}-\x{1FADB}\x{1FAE8}\x{1FAF7}-\x{1FAF8})"},
}};

// Length of an escape at the beginning of `rest`; `\p{..}` and the like count their braces.
size_t escape_length(std::string_view rest) {
  if (rest.size() >= 3 && rest[2] == '{') {
    const size_t close = rest.find('}');
    if (close != std::string_view::npos) return close + 1;
  }
  return rest.size() < 2 ? rest.size() : 2;
}

// The inside of a class with the meaning of the escape, or empty when it needs no rewriting.
std::string class_body(std::string_view escape) {
  if (escape == "\\s" || escape == "\\S") return std::string(kWhiteSpace);
  for (const Category& category : kCategories) {
    const std::string name(1, category.name);
    if (escape == "\\p{" + name + "}" || escape == "\\P{" + name + "}") {
      return "\\p{" + name + "}" + std::string(category.since_unicode_15);
    }
  }
  return "";
}

}  // namespace

std::string to_pcre2_dialect(std::string_view pattern) {
  std::string out;
  bool in_class = false;
  for (size_t at = 0; at < pattern.size();) {
    const std::string_view rest = pattern.substr(at);
    if (rest[0] == '\\') {
      const std::string_view escape = rest.substr(0, escape_length(rest));
      const std::string body = class_body(escape);
      const bool negated = escape.size() > 1 && (escape[1] == 'S' || escape[1] == 'P');
      if (body.empty() || (in_class && negated)) {
        out +=
            escape;  // a negated escape inside a class has no rewriting; it keeps PCRE2's meaning
      } else if (in_class) {
        out += body;
      } else {
        out += (negated ? "[^" : "[") + body + "]";
      }
      at += escape.size();
      continue;
    }
    if (!in_class && rest[0] == '[') {
      in_class = true;
      size_t length = rest.starts_with("[^") ? 2 : 1;
      if (rest.substr(length).starts_with("]")) ++length;  // a first `]` is an ordinary member
      out += rest.substr(0, length);
      at += length;
      continue;
    }
    if (in_class && rest[0] == '[' && !rest.starts_with("[:")) {
      throw std::invalid_argument("nested character classes are not supported");
    }
    if (in_class && rest.starts_with("&&")) {
      throw std::invalid_argument("class intersections (&&) are not supported");
    }
    if (in_class && rest.starts_with("[:")) {
      const size_t close = rest.find(":]");
      const size_t length = close == std::string_view::npos ? 1 : close + 2;
      out += rest.substr(0, length);
      at += length;
      continue;
    }
    if (in_class && rest[0] == ']') in_class = false;
    out += rest[0];
    ++at;
  }
  return out;
}

}  // namespace ds4::text

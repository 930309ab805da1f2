// Latin letters lose their accents by two tables; other scripts stay as they are.
#include "suites/common/folding.h"

#include "suites/common/answers.h"

namespace ds4::suites {
namespace {

// Base letters of U+00C0 to U+017F and U+1E00 to U+1EFF; a blank: none (a sign).
constexpr std::string_view kLatin =
    "aaaaaaaceeeeiiiidnooooo ouuuuytsaaaaaaaceeeeiiiidnooooo ouuuuyty"
    "aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiii  jjkkkllllll "
    " llnnnnnn nnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";
constexpr std::string_view kLatinAdditional =
    "aabbbbbbccddddddddddeeeeeeeeeeffgghhhhhhhhhhiiiikkkkkkllllllllmm"
    "mmmmnnnnnnnnoooooooopppprrrrrrrrssssssssssttttttttuuuuuuuuuuvvvv"
    "wwwwwwwwwwxxxxyyzzzzzzhtwy s    aaaaaaaaaaaaaaaaaaaaaaaaeeeeeeee"
    "eeeeeeeeiiiioooooooooooooooooooooooouuuuuuuuuuuuuuyyyyyyyy      ";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

Folded fold_ascii(std::string_view text, char before, std::string& out) {
  const char c = text.front();
  const char after = text.size() > 1 ? text[1] : ' ';
  if (is_digit(c) || (c >= 'a' && c <= 'z')) return out = c, Folded::kWord;
  if (c >= 'A' && c <= 'Z') return out = static_cast<char>(c - 'A' + 'a'), Folded::kWord;
  switch (c) {
    case '\'':
      return Folded::kNothing;
    case '(':
    case ')':
    case '%':
    case '<':
    case '>':
    case '=':
      return out = c, Folded::kSign;
    case ',':
      return is_digit(before) && is_digit(after) ? Folded::kNothing : Folded::kClause;
    case ';':
    case ':':
      return Folded::kClause;
    case '-':  // a sign, not a hyphen
      return is_digit(after) && (before == ' ' || before == '(' || before == '`')
                 ? (out = c, Folded::kWord)
                 : Folded::kBlank;
    case '.':
      if (is_digit(before) && is_digit(after)) return out = c, Folded::kWord;
      return after == ' ' || after == '\n' || after == '\r' || after == '*' || after == ')' ||
                     after == '"'
                 ? Folded::kSentence
                 : Folded::kBlank;
    case '!':
    case '\n':
      return Folded::kSentence;
    case '?':
      return Folded::kQuestion;
    default:
      return Folded::kBlank;
  }
}

}  // namespace

Folded fold_character(std::string_view text, char before, std::string& out, size_t& length) {
  out.clear();
  length = utf8_length(text);
  if (length == 0) return length = 1, Folded::kBlank;
  if (length == 1) return fold_ascii(text, before, out);
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  if (length == 2) {
    const unsigned c = (byte(0) & 0x1fu) << 6 | (byte(1) & 0x3fu);
    if (c == 0xb2 || c == 0xb3 || c == 0xb9) {  // superscripts: n\u00b2 is n^2
      out = c == 0xb2 ? "2" : c == 0xb3 ? "3" : "1";
      return Folded::kSign;
    }
    if (c < 0xc0) return Folded::kBlank;
    if (c < 0x180) {
      out = kLatin[c - 0xc0];
      return out == " " ? Folded::kBlank : Folded::kWord;
    }
    if (c >= 0x300 && c < 0x370) return Folded::kNothing;  // combining
  }
  if (length == 3) {
    const unsigned c = (byte(0) & 0xfu) << 12 | (byte(1) & 0x3fu) << 6 | (byte(2) & 0x3fu);
    if (c >= 0x1e00 && c < 0x1f00) {
      out = kLatinAdditional[c - 0x1e00];
      return out == " " ? Folded::kBlank : Folded::kWord;
    }
    if (c == 0x2018 || c == 0x2019) return Folded::kNothing;  // typographic apostrophes
    if (c == 0x2013 || c == 0x2014) return Folded::kClause;   // dashes
    if (c == 0x2264 || c == 0x2265) return out = c == 0x2264 ? "<=" : ">=", Folded::kSign;
    const bool minus = c == 0x2212 && text.size() > 3 && is_digit(text[3]) && before == ' ';
    if (minus) return out = "-", Folded::kWord;
    if (c >= 0x2000 && c < 0x2c00) return Folded::kBlank;  // punctuation, arrows, operators, boxes
    if (c == 0x3002) return Folded::kSentence;
    if (c >= 0x3000 && c < 0x3040) return Folded::kBlank;
  }
  out = text.substr(0, length);
  return Folded::kWord;
}

}  // namespace ds4::suites

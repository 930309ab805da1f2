// Hand-written scanners for two small patterns.
#include "suites/arithmetic/numbers.h"

namespace ds4::suites {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_number_character(char c) {
  return is_digit(c) || c == '.' || c == ',';
}
bool is_amount_character(char c) {
  return is_number_character(c) || c == '$';
}

template <typename Predicate>
size_t run_end(std::string_view text, size_t at, Predicate holds) {
  while (at < text.size() && holds(text[at])) ++at;
  return at;
}

}  // namespace

std::optional<ExtractedNumber> strict_number(std::string_view answer) {
  constexpr std::string_view kMark = "#### ";
  for (size_t at = answer.find(kMark); at != answer.npos; at = answer.find(kMark, at + 1)) {
    const size_t start = at + kMark.size();
    const size_t digits = start < answer.size() && answer[start] == '-' ? start + 1 : start;
    const size_t end = run_end(answer, digits, is_number_character);
    if (end > digits) {
      return ExtractedNumber{std::string(answer.substr(start, end - start)), end == answer.size()};
    }
  }
  return std::nullopt;
}

std::optional<ExtractedNumber> flexible_number(std::string_view answer) {
  std::optional<ExtractedNumber> last;
  for (size_t at = 0; at < answer.size();) {
    const size_t body = answer[at] == '-' ? at + 1 : at;
    size_t end = run_end(answer, body, is_amount_character);
    if (end < body + 2) end = run_end(answer, body, is_digit);  // the second alternative
    if (end == body) {
      ++at;
      continue;
    }
    last = ExtractedNumber{std::string(answer.substr(at, end - at)), end == answer.size()};
    at = end;
  }
  return last;
}

std::string normal_number(std::string_view number) {
  std::string out;
  for (char c : number) {
    if (c != ',' && c != '$') out += c;
  }
  if (out.ends_with('.')) out.pop_back();
  return out;
}

}  // namespace ds4::suites

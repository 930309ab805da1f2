// Hand-written scanners for two small patterns.
#include "suites/common/numbers.h"

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

// The number after the first `mark` that has one: `-?[0-9.,]+`, whose digits end where `ends` says.
template <typename Ends>
std::optional<ExtractedNumber> first_after(std::string_view answer, std::string_view mark,
                                           Ends ends) {
  for (size_t at = answer.find(mark); at != answer.npos; at = answer.find(mark, at + 1)) {
    const size_t start = at + mark.size();
    const size_t digits = start < answer.size() && answer[start] == '-' ? start + 1 : start;
    const size_t end = ends(digits, run_end(answer, digits, is_number_character));
    if (end > digits) {
      return ExtractedNumber{std::string(answer.substr(start, end - start)), end == answer.size()};
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<ExtractedNumber> strict_number(std::string_view answer) {
  return first_after(answer, "#### ", [](size_t, size_t end) { return end; });
}

std::optional<ExtractedNumber> answer_is_number(std::string_view answer) {
  return first_after(answer, "The answer is ", [&](size_t digits, size_t end) {
    const bool followed = end < answer.size() && answer[end] != '\n';
    return followed || end == digits ? end : end - 1;
  });
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

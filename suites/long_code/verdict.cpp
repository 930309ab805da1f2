// Phrase search on normalised words; the phrases are data (functions.json).
#include "suites/long_code/verdict.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "suites/common/answers.h"
#include "suites/long_code/files.h"
#include "suites/long_code/functions.h"

namespace ds4::suites {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_identifier_character(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// Calls `take` with each run of identifier characters, and dots within where `dots`.
template <typename Take>
void each_name(std::string_view text, bool dots, Take take) {
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() && (is_identifier_character(text[end]) ||
                                 (dots && end > at && text[end] == '.' && end + 1 < text.size() &&
                                  is_identifier_character(text[end + 1])))) {
      ++end;
    }
    if (end > at) take(text.substr(at, end - at));
    at = end + 1;
  }
}

std::set<std::string> function_names(std::string_view text) {
  std::set<std::string> names;
  each_name(text, false, [&](std::string_view name) {
    if (is_function_name(name) || is_numbered_function(name)) names.emplace(name);
  });
  return names;
}

std::set<std::string> file_names(std::string_view text) {
  std::set<std::string> names;
  each_name(text, true, [&](std::string_view name) {
    if (is_numbered_file(name)) names.emplace(name);
  });
  return names;
}

std::optional<int64_t> number_in(std::string_view text) {
  size_t at = 0;
  while (at < text.size() && !is_digit(text[at])) ++at;
  int64_t number = 0;
  const auto read = std::from_chars(text.data() + at, text.data() + text.size(), number);
  if (read.ec != std::errc()) return {};
  return number;
}

// "line 12", "lines 12", "Line **12**": a number right behind the word.
std::set<int64_t> line_numbers(std::string_view words) {
  std::set<int64_t> lines;
  for (const std::string_view word : {"line ", "lines "}) {
    for (size_t at = words.find(word); at != words.npos; at = words.find(word, at + 1)) {
      const size_t behind = at + word.size();
      if (behind == words.size() || !is_digit(words[behind])) continue;
      if (const auto number = number_in(words.substr(behind, 20))) lines.insert(*number);
    }
  }
  return lines;
}

bool claims(std::string_view words, const std::string& kind) {
  const auto& phrases = claim_phrases(kind);
  return std::any_of(phrases.begin(), phrases.end(),
                     [&](const std::string& phrase) { return contains_words(words, phrase); });
}

// A class that is named counts alone: its explanation may resemble another one's.
std::set<std::string> claimed_kinds(std::string_view words, bool labelled) {
  std::set<std::string> named, described;
  for (const std::string& kind : defect_names()) {
    if (kind == defect_names().front()) continue;
    if (contains_words(words, normalise_words(kind))) named.insert(kind);
    if (claims(words, kind)) described.insert(kind);
  }
  return labelled && !named.empty() ? named : described;
}

}  // namespace

ReviewClaims read_review(std::string_view answer) {
  const auto file_field = labelled_field(answer, "file");
  const auto function_field = labelled_field(answer, "function");
  const auto line_field = labelled_field(answer, "line");
  auto kind_field = labelled_field(answer, "class");
  if (!kind_field) kind_field = labelled_field(answer, "kind");
  const std::string all = normalise_words(answer);
  const std::string kind = kind_field ? normalise_words(*kind_field) : all;
  ReviewClaims out;
  out.files = file_names(file_field ? std::string_view(*file_field) : answer);
  out.functions = function_names(function_field ? std::string_view(*function_field) : answer);
  if (line_field) {
    if (const auto number = number_in(*line_field)) out.lines = {*number};
  } else {
    out.lines = line_numbers(all);
  }
  out.kinds = claimed_kinds(kind, kind_field.has_value());
  // "`<=` should be `<`" loses its signs among the words.
  if (!kind_field && answer.find("<=") != answer.npos &&
      (contains_words(all, "should be") || contains_words(all, "instead of"))) {
    out.kinds.insert("past_end");
  }
  const bool points = function_field && !out.functions.empty();
  out.clean = claims(kind, "none") && out.kinds.empty() && !points;
  out.mentions = (claims(all, "mentions") || !out.kinds.empty()) && !out.clean;
  return out;
}

}  // namespace ds4::suites

// Phrase search on normalised words; the phrases are data (functions.json).
#include "suites/long_code/verdict.h"

#include <algorithm>

#include "suites/common/answers.h"
#include "suites/long_code/functions.h"

namespace ds4::suites {
namespace {

bool is_identifier_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

std::set<std::string> function_names(std::string_view text) {
  std::set<std::string> names;
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() && is_identifier_character(text[end])) ++end;
    if (end > at && is_function_name(text.substr(at, end - at))) {
      names.emplace(text.substr(at, end - at));
    }
    at = end + 1;
  }
  return names;
}

bool claims(std::string_view words, const std::string& kind) {
  const auto& phrases = claim_phrases(kind);
  return std::any_of(phrases.begin(), phrases.end(),
                     [&](const std::string& phrase) { return contains_words(words, phrase); });
}

}  // namespace

ReviewClaims read_review(std::string_view answer) {
  const auto function_field = labelled_field(answer, "function");
  const auto kind_field = labelled_field(answer, "kind");
  ReviewClaims out;
  out.functions = function_names(function_field ? std::string_view(*function_field) : answer);
  const std::string all = normalise_words(answer);
  const std::string kind = kind_field ? normalise_words(*kind_field) : all;
  out.past_end = claims(kind, "past_end");
  out.skips_first = claims(kind, "skips_first");
  // "`<=` should be `<`" loses its signs among the words.
  if (!kind_field && answer.find("<=") != answer.npos &&
      (contains_words(all, "should be") || contains_words(all, "instead of"))) {
    out.past_end = true;
  }
  out.clean = claims(kind, "none") && !out.past_end && !out.skips_first;
  out.mentions = (claims(all, "mentions") || out.past_end || out.skips_first) && !out.clean;
  return out;
}

}  // namespace ds4::suites

// Finds values in an answer and says how near the best ones are: the needle suite's measure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ds4::suites {

/// How an answer relates to the values that were asked for.
struct CodeMatch {
  enum class Kind { kExact, kNearMiss, kConfused, kAbsent };
  Kind kind = Kind::kAbsent;
  std::string found;     // the tokens that decided; empty when absent
  int64_t distance = 0;  // edits between the worst of them and its value; 0 when exact
  int64_t n_exact = 0;   // values that stand in the answer
  bool at_end = false;   // a token that decided is the answer's last: possibly cut there
};

/// The most edits of a near miss: a quarter of the length, but at least one.
constexpr int64_t near_miss_limit(std::string_view value) {
  const auto quarter = static_cast<int64_t>(value.size()) / 4;
  return quarter > 1 ? quarter : 1;
}

struct CodeQuestion {
  std::vector<std::string> values;  // asked for; not empty
  std::vector<std::string> others;  // values of other facts
  bool first_only = false;          // no more tokens that match are looked at than values
};

/// Code-shaped tokens are runs of ASCII letters and digits (and of hyphens within, where a value
/// has some) whose length differs from a value's by at most d = near_miss_limit(value). Exact:
/// every value stands in the answer as a whole token, in its case, and none of `others` does.
/// Confused: one of `others` does. Near miss: else, every value that does not stand there has a
/// token that is 1 to d edits away. Linear in the answer times the number of values.
CodeMatch match_codes(std::string_view answer, const CodeQuestion& question);

/// The share of values that are part of the answer anywhere, in any case: the published measure of
/// RULER's retrieval tasks.
double share_found(std::string_view answer, const std::vector<std::string>& values);

}  // namespace ds4::suites

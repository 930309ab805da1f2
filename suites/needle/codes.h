// Finds values in an answer and says how near the best one is: the needle suite's measure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ds4::suites {

/// How an answer relates to the value that was asked for.
struct CodeMatch {
  enum class Kind { kExact, kNearMiss, kConfused, kAbsent };
  Kind kind = Kind::kAbsent;
  std::string found;     // the token that decided; empty when absent
  int64_t distance = 0;  // edits between it and the value; 0 when exact
  bool at_end = false;   // it is the answer's last token: possibly cut there
};

/// The most edits of a near miss: a quarter of the length, but at least one.
constexpr int64_t near_miss_limit(std::string_view value) {
  const auto quarter = static_cast<int64_t>(value.size()) / 4;
  return quarter > 1 ? quarter : 1;
}

/// Code-shaped tokens are runs of ASCII letters and digits whose length differs from the value's by
/// at most d = near_miss_limit(value). Exact: the value stands in the answer as a whole token, in
/// its case, and none of `others` (values of other facts) does. Confused: one of `others` does.
/// Near miss: else, the best code-shaped token is 1 to d edits away.
CodeMatch match_code(std::string_view answer, std::string_view value,
                     const std::vector<std::string>& others);

}  // namespace ds4::suites

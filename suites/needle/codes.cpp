// One pass over the answer's tokens.
#include "suites/needle/codes.h"

#include <algorithm>
#include <cstdlib>

#include "suites/common/edit_distance.h"

namespace ds4::suites {
namespace {

bool is_code_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

}  // namespace

CodeMatch match_code(std::string_view answer, std::string_view value,
                     const std::vector<std::string>& others) {
  const auto length = static_cast<int64_t>(value.size());
  const int64_t limit = near_miss_limit(value);
  CodeMatch exact, confused, near;
  near.distance = limit + 1;
  for (size_t at = 0; at < answer.size();) {
    if (!is_code_character(answer[at])) {
      ++at;
      continue;
    }
    size_t end = at;
    while (end < answer.size() && is_code_character(answer[end])) ++end;
    const std::string_view token = answer.substr(at, end - at);
    at = end;
    if (std::abs(static_cast<int64_t>(token.size()) - length) > limit) continue;
    const bool at_end = end == answer.size();
    if (token == value) {
      exact = {CodeMatch::Kind::kExact, std::string(token), 0, at_end};
    } else if (std::find(others.begin(), others.end(), token) != others.end()) {
      confused = {CodeMatch::Kind::kConfused, std::string(token),
                  edit_distance(token, value, length), at_end};
    } else if (const int64_t distance = edit_distance(token, value, limit);
               distance < near.distance) {
      near = {CodeMatch::Kind::kNearMiss, std::string(token), distance, at_end};
    }
  }
  if (confused.kind == CodeMatch::Kind::kConfused) return confused;
  if (exact.kind == CodeMatch::Kind::kExact) return exact;
  if (near.kind == CodeMatch::Kind::kNearMiss) return near;
  return {};
}

}  // namespace ds4::suites

// One pass over the answer's tokens.
#include "suites/needle/codes.h"

#include <algorithm>
#include <cstdlib>
#include <unordered_set>

#include "suites/common/answers.h"
#include "suites/common/edit_distance.h"

namespace ds4::suites {
namespace {

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

// What the answer gives for one value.
struct Best {
  std::string token;
  int64_t distance = -1;  // -1 = nothing near
  bool at_end = false;
};

// The next code-shaped run at or behind `at`, which moves behind it; empty at the end.
std::string_view next_token(std::string_view answer, bool hyphens, size_t& at) {
  while (at < answer.size() && !is_alphanumeric(answer[at])) ++at;
  size_t end = at;
  while (end < answer.size() && (is_alphanumeric(answer[end]) || (hyphens && answer[end] == '-'))) {
    ++end;
  }
  std::string_view token = answer.substr(at, end - at);
  while (token.ends_with('-')) token.remove_suffix(1);
  at = end;
  return token;
}

// Returns whether the token is one of the values or near one.
bool compare(std::string_view token, bool at_end, const std::vector<std::string>& values,
             std::vector<Best>& best) {
  bool matches = false;
  for (size_t i = 0; i < values.size(); ++i) {
    const int64_t limit = near_miss_limit(values[i]);
    if (std::abs(std::ssize(token) - std::ssize(values[i])) > limit) continue;
    const int64_t distance = edit_distance(token, values[i], limit);
    if (distance > limit) continue;
    matches = true;
    if (best[i].distance >= 0 && best[i].distance <= distance) continue;
    best[i] = {std::string(token), distance, at_end};
  }
  return matches;
}

CodeMatch judge(const std::vector<Best>& best) {
  CodeMatch out;
  out.kind = CodeMatch::Kind::kExact;
  for (const Best& one : best) {
    if (one.distance == 0) ++out.n_exact;
    if (one.distance > 0 && out.kind == CodeMatch::Kind::kExact) {
      out.kind = CodeMatch::Kind::kNearMiss;
    }
    if (one.distance < 0) out.kind = CodeMatch::Kind::kAbsent;
  }
  for (const Best& one : best) {
    if (one.distance < 0) continue;
    out.found += (out.found.empty() ? "" : ", ") + one.token;
    out.distance = std::max(out.distance, one.distance);
    out.at_end = out.at_end || one.at_end;
  }
  return out;
}

}  // namespace

CodeMatch match_codes(std::string_view answer, const CodeQuestion& question) {
  const bool hyphens =
      std::any_of(question.values.begin(), question.values.end(),
                  [](const std::string& value) { return value.find('-') != value.npos; });
  const std::unordered_set<std::string_view> others(question.others.begin(), question.others.end());
  std::vector<Best> best(question.values.size());
  CodeMatch confused;
  int64_t n_seen = 0;
  for (size_t at = 0; at < answer.size();) {
    const std::string_view token = next_token(answer, hyphens, at);
    if (token.empty()) continue;
    const bool at_end = at == answer.size();
    if (others.contains(token)) {
      confused = {CodeMatch::Kind::kConfused, std::string(token), 0, 0, at_end};
      ++n_seen;
    } else if (compare(token, at_end, question.values, best)) {
      ++n_seen;
    }
    if (question.first_only && n_seen == std::ssize(question.values)) break;
  }
  CodeMatch out = judge(best);
  if (confused.kind != CodeMatch::Kind::kConfused) return out;
  confused.n_exact = out.n_exact;
  return confused;
}

double share_found(std::string_view answer, const std::vector<std::string>& values) {
  const std::string text = lower_case(answer);
  const auto n = std::count_if(values.begin(), values.end(), [&](const std::string& value) {
    return text.find(lower_case(value)) != text.npos;
  });
  return static_cast<double>(n) / static_cast<double>(values.size());
}

}  // namespace ds4::suites

// Two traces of one case compared, token by token: where the likeliest tokens differ and by how
// little, how far the distributions lie apart, and how well each side foresaw the same text. Pure
// functions of traces; docs/traces.md defines every number.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "reports/trace/trace.h"

namespace ds4::reports {

/// A position at which the likeliest tokens differ.
struct Fork {
  int64_t position = 0;    // in the prompt, or behind it: of prompt and answer together
  std::string base, now;   // the likeliest token of each side
  double base_margin = 0;  // how much likelier it is than the next, natural logarithm
  double now_margin = 0;
  double margin() const { return base_margin < now_margin ? base_margin : now_margin; }
};
/// Below it a fork says little: another order of additions may turn it.
inline constexpr double kLowMargin = 0.5;

/// One position that both sides have, with all before it equal.
struct PositionPair {
  int64_t position = 0;
  bool top1_equal = true;
  double kl = 0, js = 0, overlap = 1;
  std::optional<double> base_logprob, now_logprob;  // of the same token: in the prompt
};

struct CaseAgreement {
  std::vector<PositionPair> positions;  // rising
  std::optional<Fork> first_fork;
  int64_t low_margin_forks = 0;  // of all forks
  int64_t forks = 0;
  double sum_delta = 0, max_delta = 0;  // |difference of log-probabilities| of common tokens
  int64_t n_delta = 0;
  int64_t base_answer = 0, now_answer = 0;  // tokens
  int64_t common_answer = 0;                // leading tokens of the answers that are equal
  /// What could not be compared and why: "the prompts are other tokens from position 12 on"; "".
  std::string remark;
};

/// In the prompt all positions up to the first that holds another token; in the answer all up to
/// and including the first token that differs, since the texts behind it are no longer the same.
CaseAgreement compare_traces(const Trace& base, const Trace& now);

}  // namespace ds4::reports

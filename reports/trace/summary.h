// The traces of many cases compared: shares, means and their intervals over cases, and the same by
// depth. A case is what is drawn again for an interval: positions of one text are no independent
// witnesses.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reports/stats/stats.h"
#include "reports/trace/agreement.h"
#include "reports/trace/depth.h"

namespace ds4::reports {

/// A number over cases with its 95 % bootstrap interval; none of one case.
struct OverCases {
  double value = 0;
  std::optional<Interval> interval;
};

/// What was compared at positions of one range of depth.
struct DepthLine {
  DepthRange range;
  int64_t n = 0;
  double top1 = 1, kl = 0;
  std::optional<double> base_perplexity, now_perplexity;  // of the same tokens
};

/// One case in short.
struct CaseLine {
  std::string case_id;
  int64_t n = 0, top1_equal = 0, n_text = 0;
  double sum_kl = 0, max_kl = 0;
  int64_t max_kl_at = -1;            // position
  double base_nll = 0, now_nll = 0;  // sums over the n_text tokens both foresaw
  int64_t base_answer = 0, now_answer = 0, common_answer = 0;
  std::optional<Fork> first_fork;
  std::string remark;
};

struct TraceSummary {
  int64_t n_positions = 0;
  OverCases top1;  // share of positions with the same likeliest token
  OverCases kl;    // nats a position, a lower bound
  double js = 0, overlap = 1, mean_delta = 0, max_delta = 0;
  int64_t forks = 0, low_margin_forks = 0;
  std::optional<double> base_perplexity, now_perplexity;
  std::optional<OverCases> perplexity_ratio;  // now / base, of the same tokens
  int64_t answers = 0, equal_answers = 0, equal_first_tokens = 0;
  double mean_common_answer = 0;
  std::vector<DepthLine> depths;
  std::vector<CaseLine> cases;
};

class TraceSummaryBuilder {
 public:
  void add(const std::string& case_id, const CaseAgreement& agreement);
  bool empty() const { return result_.cases.empty(); }
  TraceSummary take();

 private:
  struct Sums {
    int64_t n = 0, top1 = 0, n_text = 0;
    double kl = 0, base_nll = 0, now_nll = 0;
  };
  TraceSummary result_;
  double js_ = 0, overlap_ = 0, delta_ = 0;
  int64_t n_delta_ = 0, common_ = 0;
  std::map<int64_t, Sums> by_depth_;  // by the beginning of the range
};

}  // namespace ds4::reports

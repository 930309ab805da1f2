#include "reports/trace/summary.h"

#include <algorithm>
#include <cmath>

#include "reports/stats/bootstrap.h"

namespace ds4::reports {
namespace {

template <class Part, class Whole>
OverCases over_cases(const std::vector<CaseLine>& cases, const Part& part, const Whole& whole) {
  std::vector<SumAndCount> sums;
  double total = 0, count = 0;
  for (const CaseLine& line : cases) {
    sums.push_back({part(line), whole(line)});
    total += sums.back().sum;
    count += sums.back().count;
  }
  std::erase_if(sums, [](const SumAndCount& s) { return s.count <= 0; });
  return {count > 0 ? total / count : 0, bootstrap_mean_interval(sums)};
}

double count(int64_t n) {
  return static_cast<double>(n);
}

}  // namespace

void TraceSummaryBuilder::add(const std::string& case_id, const CaseAgreement& agreement) {
  CaseLine line;
  line.case_id = case_id;
  line.n = std::ssize(agreement.positions);
  line.base_answer = agreement.base_answer;
  line.now_answer = agreement.now_answer;
  line.common_answer = agreement.common_answer;
  line.first_fork = agreement.first_fork;
  line.remark = agreement.remark;
  for (const PositionPair& pair : agreement.positions) {
    Sums& depth = by_depth_[depth_range_at(pair.position).begin];
    ++depth.n;
    depth.top1 += pair.top1_equal;
    depth.kl += pair.kl;
    line.top1_equal += pair.top1_equal;
    line.sum_kl += pair.kl;
    if (pair.kl > line.max_kl) {
      line.max_kl = pair.kl;
      line.max_kl_at = pair.position;
    }
    js_ += pair.js;
    overlap_ += pair.overlap;
    if (pair.base_logprob && pair.now_logprob) {
      ++depth.n_text;
      depth.base_nll -= *pair.base_logprob;
      depth.now_nll -= *pair.now_logprob;
      ++line.n_text;
      line.base_nll -= *pair.base_logprob;
      line.now_nll -= *pair.now_logprob;
    }
  }
  delta_ += agreement.sum_delta;
  n_delta_ += agreement.n_delta;
  result_.max_delta = std::max(result_.max_delta, agreement.max_delta);
  result_.forks += agreement.forks;
  result_.low_margin_forks += agreement.low_margin_forks;
  result_.n_positions += line.n;
  if (line.base_answer > 0 && line.now_answer > 0) {
    ++result_.answers;
    result_.equal_answers +=
        line.common_answer == line.base_answer && line.common_answer == line.now_answer;
    result_.equal_first_tokens += line.common_answer > 0;
    common_ += line.common_answer;
  }
  result_.cases.push_back(std::move(line));
}

TraceSummary TraceSummaryBuilder::take() {
  TraceSummary& r = result_;
  const double n = std::max(1.0, count(r.n_positions));
  r.js = js_ / n;
  r.overlap = r.n_positions > 0 ? overlap_ / n : 1;
  r.mean_delta = n_delta_ > 0 ? delta_ / count(n_delta_) : 0;
  r.mean_common_answer = r.answers > 0 ? count(common_) / count(r.answers) : 0;
  const auto positions = [](const CaseLine& line) { return count(line.n); };
  const auto texts = [](const CaseLine& line) { return count(line.n_text); };
  r.top1 = over_cases(
      r.cases, [](const CaseLine& line) { return count(line.top1_equal); }, positions);
  r.kl = over_cases(
      r.cases, [](const CaseLine& line) { return line.sum_kl; }, positions);
  const auto mean = [&](double CaseLine::*nll) {
    return over_cases(
               r.cases, [nll](const CaseLine& line) { return line.*nll; }, texts)
        .value;
  };
  const bool has_texts = std::any_of(r.cases.begin(), r.cases.end(),
                                     [](const CaseLine& line) { return line.n_text > 0; });
  if (has_texts) {
    r.base_perplexity = std::exp(mean(&CaseLine::base_nll));
    r.now_perplexity = std::exp(mean(&CaseLine::now_nll));
    OverCases ratio = over_cases(
        r.cases, [](const CaseLine& line) { return line.now_nll - line.base_nll; }, texts);
    ratio.value = std::exp(ratio.value);
    if (ratio.interval)
      ratio.interval = Interval{std::exp(ratio.interval->lo), std::exp(ratio.interval->hi)};
    r.perplexity_ratio = ratio;
  }
  for (const auto& [begin, sums] : by_depth_) {
    DepthLine line;
    line.range = depth_range_at(begin);
    line.n = sums.n;
    line.top1 = count(sums.top1) / count(sums.n);
    line.kl = sums.kl / count(sums.n);
    if (sums.n_text > 0) {
      line.base_perplexity = std::exp(sums.base_nll / count(sums.n_text));
      line.now_perplexity = std::exp(sums.now_nll / count(sums.n_text));
    }
    r.depths.push_back(line);
  }
  return std::move(r);
}

}  // namespace ds4::reports

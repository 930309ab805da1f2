// What the server counts, as Prometheus reads it. Names are vLLM's where they mean the same, so
// that dashboards and our own polling read both; ours begin with ds4_.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "runners/targets/target.h"

namespace ds4::runners::serve {

/// Counts of values up to each bound, and of all.
class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds)
      : bounds_(std::move(bounds)), counts_(bounds_.size()) {}
  void add(double value);
  /// The lines of metric `name`; `labels` as "a=\"b\"".
  std::string text(const std::string& name, const std::string& labels) const;

 private:
  std::vector<double> bounds_;
  std::vector<int64_t> counts_;  // up to each bound and above the one before
  int64_t n_ = 0;
  double sum_ = 0;
};

/// Safe to be used by any thread.
class Metrics {
 public:
  explicit Metrics(std::string model);

  void requests(int64_t running, int64_t waiting);
  /// A request ended: `waited_s` in the queue, `age_s` since it was posted.
  void answered(const Response& response, double waited_s, double age_s);
  /// A reply that was no answer, by its status.
  void refused(int status);
  /// The text format, version 0.0.4.
  std::string text() const;

 private:
  mutable std::mutex mutex_;
  const std::string labels_;
  const double start_s_;
  int64_t running_ = 0, waiting_ = 0;
  int64_t prompt_tokens_ = 0, cached_tokens_ = 0, answer_tokens_ = 0;
  double draft_rounds_ = 0, drafts_kept_ = 0;
  std::map<std::string, int64_t> finished_;  // by finish reason
  std::map<int, int64_t> refused_;           // by status
  int64_t failed_ = 0;
  Histogram first_token_, per_token_, whole_, waited_, prompt_lengths_, answer_lengths_;
};

}  // namespace ds4::runners::serve

#include "runners/sweep/sentinel.h"

#include <algorithm>
#include <cstdio>

namespace ds4::runners::sweep {
namespace {

constexpr const char* kCopy = "sentinel_copy";
constexpr const char* kGemv = "sentinel_gemv";

}  // namespace

std::vector<probes::Sample> sentinel_samples(const probes::SentinelReading& reading,
                                             const char* when, double time_s) {
  return {{kCopy, reading.copy_rate, time_s, when}, {kGemv, reading.gemv_rate, time_s, when}};
}

probes::SentinelReading best_sentinel(const std::vector<probes::Sample>& samples) {
  probes::SentinelReading best;
  for (const probes::Sample& sample : samples) {
    if (sample.metric == kCopy) best.copy_rate = std::max(best.copy_rate, sample.value);
    if (sample.metric == kGemv) best.gemv_rate = std::max(best.gemv_rate, sample.value);
  }
  return best;
}

std::string slow_state(const std::vector<probes::Sample>& around,
                       const probes::SentinelReading& best, double bound) {
  double worst = 1 + bound;  // times slower
  std::string text;
  for (const probes::Sample& sample : around) {
    const bool copy = sample.metric == kCopy;
    if (!copy && sample.metric != kGemv) continue;
    const double times = (copy ? best.copy_rate : best.gemv_rate) / sample.value;
    if (times <= worst) continue;
    worst = times;
    char line[160];
    std::snprintf(line, sizeof line,
                  "the %s %s it ran at %.3g GB/s, %.2f times slower than this run's best; %.2f is "
                  "the bound",
                  copy ? "copy" : "matrix-vector product", sample.phase.text().c_str(),
                  sample.value / 1e9, times, 1 + bound);
    text = line;
  }
  return text;
}

}  // namespace ds4::runners::sweep

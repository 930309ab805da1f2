#include "runners/guard/rules.h"

#include <algorithm>

#include "engine/base/check.h"

namespace ds4::runners::guard {
namespace {

constexpr int kSlopeSamples = 5, kLeastSlopeSamples = 3;
// One reading under the floor may be a transient; two in a row are a state.
constexpr int kConfirmations = 2;
constexpr int kBlindSamples = 3;
// Pressure and swapping alone are no danger (a large file being written does both); with less than
// two floors left they say that the kernel finds nothing more to give back.
constexpr int64_t kTightFloors = 2;
constexpr double kStall_s = 2;         // looked at over this long
constexpr double kStalledShare = 0.4;  // of it, with every process waiting for memory
constexpr double kSwapRate_B_s = 64.0 * (1 << 20);
constexpr double kPage_B = 4096;

// The change per second of a counter over the last kStall_s; 0 when it is not known.
double rate_over_stall(const History& history, int64_t Sample::*counter) {
  const Sample& now = history.back(0);
  for (int i = 1; i < history.size(); ++i) {
    const Sample& then = history.back(i);
    const double elapsed = now.time_s - then.time_s;
    if (elapsed < kStall_s) continue;
    if (now.*counter < 0 || then.*counter < 0) return 0;
    return static_cast<double>(now.*counter - then.*counter) / elapsed;
  }
  return 0;
}

bool blind(const History& history) {
  if (history.size() < kBlindSamples) return false;
  for (int i = 0; i < kBlindSamples; ++i) {
    if (history.back(i).readable()) return false;
  }
  return true;
}

bool confirmed_under(const History& history, int64_t bytes) {
  if (history.size() < kConfirmations) return false;
  for (int i = 0; i < kConfirmations; ++i) {
    if (!history.back(i).readable() || history.back(i).available >= bytes) return false;
  }
  return true;
}

// Each of the last two steps went down: a fall that has stopped predicts nothing.
bool still_falling(const History& history) {
  if (history.size() < kLeastSlopeSamples) return false;
  for (int i = 0; i + 1 < kLeastSlopeSamples; ++i) {
    const Sample &now = history.back(i), &before = history.back(i + 1);
    if (!now.readable() || !before.readable() || now.available >= before.available) return false;
  }
  return true;
}

}  // namespace

int64_t default_floor(int64_t total_bytes) {
  return std::min(total_bytes / 20, int64_t{6} << 30);
}

void History::push(const Sample& sample) {
  samples_[static_cast<size_t>(next_)] = sample;
  next_ = (next_ + 1) % kCapacity;
  size_ = std::min(size_ + 1, kCapacity);
}

const Sample& History::back(int i) const {
  DS4_CHECK(i >= 0 && i < size_);
  return samples_[static_cast<size_t>((next_ - 1 - i + 2 * kCapacity) % kCapacity)];
}

double slope(const History& history) {
  double n = 0, sum_t = 0, sum_a = 0, sum_tt = 0, sum_ta = 0;
  if (history.size() == 0) return 0;
  const double origin = history.back(0).time_s;
  for (int i = 0; i < history.size() && n < kSlopeSamples; ++i) {
    const Sample& sample = history.back(i);
    if (!sample.readable()) break;
    const double t = sample.time_s - origin, a = static_cast<double>(sample.available);
    n += 1;
    sum_t += t;
    sum_a += a;
    sum_tt += t * t;
    sum_ta += t * a;
  }
  const double spread = n * sum_tt - sum_t * sum_t;
  if (n < kLeastSlopeSamples || spread <= 0) return 0;
  return (n * sum_ta - sum_t * sum_a) / spread;
}

Decision decide(const History& history, const Limits& limits, double soft_s) {
  if (history.size() == 0) return {};
  const Sample& now = history.back(0);
  const int64_t floor = limits.floor(now.phase), hard_floor = limits.hard_floor(now.phase);
  const double rate = slope(history);
  if (blind(history)) return {Stage::kHard, Rule::kBlind, floor, rate};
  const bool told = soft_s >= 0;
  if (told && now.time_s - soft_s >= limits.grace_s) {
    return {Stage::kHard, Rule::kGrace, floor, rate};
  }
  if (!now.readable()) return {};
  if (now.available < hard_floor) return {Stage::kHard, Rule::kFloor, hard_floor, rate};
  // What is certain to go before an answer to this sample takes effect: two samples' time.
  const double falling = still_falling(history) ? -rate : 0;
  const auto reached = [&](int64_t line, double within_s) {
    return falling > 0 && static_cast<double>(now.available - line) < falling * within_s;
  };
  if (reached(hard_floor, 2 / limits.rate_hz)) {
    return {Stage::kHard, Rule::kTimeToFloor, hard_floor, rate};
  }
  if (told) return {};
  if (confirmed_under(history, floor)) return {Stage::kSoft, Rule::kFloor, floor, rate};
  if (reached(floor, limits.reaction_s)) return {Stage::kSoft, Rule::kTimeToFloor, floor, rate};
  if (now.available >= kTightFloors * floor) return {};
  if (rate_over_stall(history, &Sample::psi_full_us) >= kStalledShare * 1e6) {
    return {Stage::kSoft, Rule::kThrash, floor, rate};
  }
  if (rate_over_stall(history, &Sample::pages_swapped_out) * kPage_B >= kSwapRate_B_s) {
    return {Stage::kSoft, Rule::kSwapOut, floor, rate};
  }
  return {};
}

}  // namespace ds4::runners::guard

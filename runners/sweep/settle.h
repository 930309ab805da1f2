// Waiting before a launch until what the last one held is free again; pure, fed with readings.
#pragma once

#include <algorithm>
#include <cstdint>

namespace ds4::runners::sweep {

class Settling {
 public:
  /// `baseline`: bytes available before the first launch.
  explicit Settling(int64_t baseline) : baseline_(baseline) {}

  /// A wait begins. It ends when so much memory is available as the baseline less `tolerance`
  /// (bytes), or after `timeout_s`. `now` in seconds on any steady clock.
  void begin(int64_t tolerance, double timeout_s, double now) {
    tolerance_ = tolerance;
    end_ = now + timeout_s;
  }

  enum class State { kWaiting, kSettled, kTimedOut };
  /// What did not come back in time is taken as gone: the baseline falls, so that one leak, or a
  /// neighbour who moved in, is waited for once and not before every launch.
  State look(int64_t available, double now) {
    missing_ = std::max<int64_t>(0, baseline_ - available);
    if (missing_ <= tolerance_) return State::kSettled;
    if (now < end_) return State::kWaiting;
    baseline_ = available;
    return State::kTimedOut;
  }

  /// Bytes below the baseline at the last look.
  int64_t missing() const { return missing_; }

 private:
  int64_t baseline_, tolerance_ = 0, missing_ = 0;
  double end_ = 0;
};

}  // namespace ds4::runners::sweep

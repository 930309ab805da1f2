// Waiting between cells until what the last one held is free again; pure, fed with readings.
#pragma once

#include <algorithm>
#include <cstdint>

namespace ds4::runners::sweep {

class Settling {
 public:
  /// Ends when so much memory is available as `baseline` less `tolerance` (bytes), or after
  /// `timeout_s`. `now` in seconds on any steady clock.
  Settling(int64_t baseline, int64_t tolerance, double timeout_s, double now)
      : baseline_(baseline), tolerance_(tolerance), end_(now + timeout_s) {}

  enum class State { kWaiting, kSettled, kTimedOut };
  State look(int64_t available, double now) {
    missing_ = std::max<int64_t>(0, baseline_ - available);
    if (missing_ <= tolerance_) return State::kSettled;
    return now < end_ ? State::kWaiting : State::kTimedOut;
  }

  /// Bytes below the baseline at the last look.
  int64_t missing() const { return missing_; }

 private:
  int64_t baseline_, tolerance_, missing_ = 0;
  double end_;
};

}  // namespace ds4::runners::sweep

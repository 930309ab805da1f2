// Tokens per second of what is in flight, from the counts a worker reports a few times a second.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

namespace ds4::runners {

class RateMeter {
 public:
  static constexpr double kWindow_s = 10;   // what is older counts no more
  static constexpr double kLeast_s = 0.5;   // of less no rate is stated
  static constexpr double kSilence_s = 30;  // after that none either: chunks of a prompt take long

  /// `tokens`: in all of that kind. Prompts and answers are not mixed: the other kind begins anew,
  /// and so does a count that falls.
  void add(double time_s, int64_t tokens, bool answering);
  void clear() { points_.clear(); }
  /// tok/s over the window; nothing as long as it is too short.
  std::optional<double> rate(double now_s) const;

 private:
  struct Point {
    double time_s = 0;
    int64_t tokens = 0;
  };
  std::deque<Point> points_;
  bool answering_ = false;
};

}  // namespace ds4::runners

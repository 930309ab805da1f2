#include "runners/progress/rate.h"

namespace ds4::runners {

void RateMeter::add(double time_s, int64_t tokens, bool answering) {
  const bool falls = !points_.empty() && tokens < points_.back().tokens;
  if (answering != answering_ || falls) clear();
  answering_ = answering;
  points_.push_back({time_s, tokens});
  // The oldest that is left lies at the window's edge or before it.
  while (points_.size() > 2 && time_s - points_[1].time_s >= kWindow_s) points_.pop_front();
}

std::optional<double> RateMeter::rate(double now_s) const {
  if (points_.empty() || now_s - points_.back().time_s > kSilence_s) return std::nullopt;
  const double seconds = points_.back().time_s - points_.front().time_s;
  if (seconds < kLeast_s) return std::nullopt;
  return static_cast<double>(points_.back().tokens - points_.front().tokens) / seconds;
}

}  // namespace ds4::runners

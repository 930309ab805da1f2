#include "runners/load_schedule.h"

#include <algorithm>
#include <limits>

#include "engine/base/check.h"

namespace ds4::runners {
namespace {
constexpr double kNever = std::numeric_limits<double>::infinity();
}

size_t LoadSchedule::end_of_group(size_t first) const {
  size_t end = first + 1;
  while (end < cases_.size() && cases_[end].group == cases_[first].group) ++end;
  return end;
}

std::optional<LoadSchedule::Range> LoadSchedule::to_begin() const {
  if (next_ < end_ || unanswered_ > 0 || next_ == cases_.size() || !grouped(next_)) {
    return std::nullopt;
  }
  return Range{next_, end_of_group(next_)};
}

void LoadSchedule::begin(double now) {
  const std::optional<Range> group = to_begin();
  DS4_CHECK(group, "no group is to begin");
  end_ = group->last;
  begin_ = now;
  free_ = {};
  for (int64_t i = 0; i < cases_[next_].at_once; ++i) free_.push(now);
}

double LoadSchedule::next_due() const {
  if (next_ == cases_.size()) return kNever;
  if (next_ == end_) return grouped(next_) || unanswered_ > 0 ? kNever : begin_;
  if (!grouped(next_)) return begin_;
  if (cases_[next_].at_once == 0) return begin_ + cases_[next_].due_s;
  return free_.empty() ? kNever : free_.front();
}

std::optional<LoadSchedule::Due> LoadSchedule::take(double now) {
  const double due = next_due();
  if (due > now) return std::nullopt;
  if (next_ == end_) end_ = end_of_group(next_);
  if (cases_[next_].at_once > 0) free_.pop();
  ++unanswered_;
  return Due{next_++, due, begin_};
}

void LoadSchedule::answered(double now) {
  DS4_CHECK(unanswered_ > 0);
  --unanswered_;
  free_.push(now);
}

double LoadSchedule::due_in(double now) const {
  return std::max(0.0, next_due() - now);
}

}  // namespace ds4::runners

// Which case is asked next and when it is due: the groups of suites::Load on a clock. It knows
// neither prompts nor targets, and reads no clock itself.
#pragma once

#include <cstddef>
#include <optional>
#include <queue>
#include <vector>

#include "suites/suite.h"

namespace ds4::runners {

class LoadSchedule {
 public:
  /// One for each case, in running order. All times are seconds on one monotonic clock.
  explicit LoadSchedule(std::vector<suites::Load> cases) : cases_(std::move(cases)) {}

  struct Range {
    size_t first = 0, last = 0;  // behind the last
  };
  /// The group that is to begin now, if one is: everything before it is answered. Nothing of it is
  /// due before begin(), so that its prompts can be made outside of its time.
  std::optional<Range> to_begin() const;
  void begin(double now);

  struct Due {
    size_t index = 0;      // of the case
    double scheduled = 0;  // when it was due
    double begin = 0;      // when its group began
  };
  /// The next case if it is due; it is unanswered from now on.
  std::optional<Due> take(double now);
  /// One that was taken is answered.
  void answered(double now);

  /// Seconds until take() has a case: 0 = now; infinite = only behind an answer, or never.
  double due_in(double now) const;

 private:
  bool grouped(size_t index) const { return !cases_[index].group.empty(); }
  size_t end_of_group(size_t first) const;
  /// When the next case is due; infinite when that depends on an answer.
  double next_due() const;

  std::vector<suites::Load> cases_;
  size_t next_ = 0;  // case to be taken
  size_t end_ = 0;   // of the group that has begun
  size_t unanswered_ = 0;
  double begin_ = 0;
  std::queue<double> free_;  // since when each free place of an at_once is
};

}  // namespace ds4::runners

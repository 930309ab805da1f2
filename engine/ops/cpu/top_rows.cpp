#include "engine/ops/cpu/top_rows.h"

#include <algorithm>
#include <cmath>

#include "engine/ops/cpu/kernels.h"

namespace ds4::ops::cpu {

TopRows::TopRows(int64_t k) : k_(k), bound_(-INFINITY) {
  kept_.reserve(static_cast<size_t>(2 * k + 128));
}

void TopRows::offer(const float* score, int64_t first, int64_t n) {
  found_.resize(static_cast<size_t>(n));
  const int64_t count = above(score, n, bound_, found_.data());
  for (int64_t i = 0; i < count; ++i) {
    const int32_t at = found_[static_cast<size_t>(i)];
    kept_.push_back({score[at], static_cast<int32_t>(first) + at});
  }
  if (static_cast<int64_t>(kept_.size()) >= 2 * k_ + 64) shrink();
}

void TopRows::merge(const TopRows& other) {
  for (const Entry& entry : other.kept_) {
    if (entry.score > bound_) kept_.push_back(entry);
  }
  shrink();
}

void TopRows::shrink() {
  if (static_cast<int64_t>(kept_.size()) <= k_) return;
  const auto last = kept_.begin() + (k_ - 1);
  std::nth_element(kept_.begin(), last, kept_.end(), [](const Entry& a, const Entry& b) {
    return a.score != b.score ? a.score > b.score : a.index < b.index;
  });
  bound_ = last->score;
  kept_.resize(static_cast<size_t>(k_));
}

void TopRows::finish(int32_t* out) {
  shrink();
  std::fill(out, out + k_, -1);
  for (size_t i = 0; i < kept_.size(); ++i) out[i] = kept_[i].index;
  std::sort(out, out + kept_.size());
}

}  // namespace ds4::ops::cpu

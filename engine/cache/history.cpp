#include "engine/cache/history.h"

#include <algorithm>

#include "engine/base/check.h"

namespace ds4::cache {

void History::writing(int64_t end) {
  high_ = std::max(high_, end);
}

bool History::in_reach(int64_t length) const {
  if (length < low_ || length > high_) return false;
  // Position p is intact until p + slots is written.
  const auto intact = [&](int64_t first, int64_t slots) {
    return first == length || first >= high_ - slots;
  };
  return std::all_of(cache_.plan().layers.begin(), cache_.plan().layers.end(),
                     [&](const LayerPlan& layer) {
                       return intact(layer.first_raw(length), layer.raw_slots) &&
                              (!layer.ratio || intact(layer.first_tail(length), layer.tail_slots));
                     });
}

void History::mark(int64_t length, ops::Floats logits, MarkKind kind) {
  if (kind == MarkKind::kTurn || length - marks_.longest(length) >= kMarkSpacing) {
    marks_.keep(length, logits, kind);
  }
}

History::Return History::go_back(int64_t shared, ops::Floats logits) {
  const int64_t marked = marks_.longest(shared);
  for (int64_t length = shared - 1; length > marked; --length) {
    if (!in_reach(length)) continue;
    truncate(length);
    return {length, false};
  }
  marks_.drop_behind(marked);
  low_ = high_ = marked;
  if (marked == 0) return {};
  marks_.restore(marked, logits);
  return {marked, true};
}

void History::truncate(int64_t length) {
  DS4_CHECK(in_reach(length), "the rings do not reach back that far");
  marks_.drop_behind(length);
}

void History::restart(int64_t length) {
  marks_.drop_behind(0);
  low_ = high_ = length;
}

}  // namespace ds4::cache

#include "engine/ops/cuda/pool.h"

#include <algorithm>
#include <iterator>

#include "engine/base/check.h"

namespace ds4::ops::cuda {

Pool::Pool(int64_t bytes) {
  const int64_t whole = bytes / kAlign * kAlign;
  if (whole > 0) gaps_.emplace(0, whole);
}

std::optional<int64_t> Pool::take(int64_t bytes) {
  const int64_t size = rounded(bytes);
  const auto gap =
      std::find_if(gaps_.begin(), gaps_.end(), [&](const auto& g) { return g.second >= size; });
  if (gap == gaps_.end()) return std::nullopt;
  const auto [at, room] = *gap;
  gaps_.erase(gap);
  if (room > size) gaps_.emplace(at + size, room - size);
  taken_.emplace(at, size);
  return at;
}

void Pool::give_back(int64_t at) {
  const auto piece = taken_.find(at);
  DS4_CHECK(piece != taken_.end(), "a piece that nobody took");
  const auto gap = gaps_.emplace(*piece).first;
  taken_.erase(piece);
  const auto join = [&](auto left, auto right) {
    if (left->first + left->second != right->first) return;
    left->second += right->second;
    gaps_.erase(right);
  };
  if (const auto behind = std::next(gap); behind != gaps_.end()) join(gap, behind);
  if (gap != gaps_.begin()) join(std::prev(gap), gap);
}

int64_t Pool::free_bytes() const {
  int64_t sum = 0;
  for (const auto& [at, bytes] : gaps_) sum += bytes;
  return sum;
}

}  // namespace ds4::ops::cuda

// Indexer kernels: scores of a tile of keys, keys as columns so that one vector holds one dim of
// many keys and no lane sums are needed; and the filter in front of the running selection.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/ops/cpu/indexer.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.
#include <algorithm>

#include "engine/ops/cpu/kernels.h"
#include "engine/ops/cpu/simd-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace ds4::ops::cpu::HWY_NAMESPACE {

void TransposeKeys(const float* rows, int64_t count, int64_t dim, float* out) {
  const int64_t stride = padded(dim);
  int64_t whole = 0;  // rows done in groups of four
#if HWY_TARGET != HWY_SCALAR
  const hn::CappedTag<float, 4> d;
  if (dim % 4 == 0 && hn::Lanes(d) == 4) {
    whole = count / 4 * 4;
    for (int64_t n = 0; n < whole; n += 4) {
      const float* row = rows + n * stride;
      for (int64_t i = 0; i < dim; i += 4) {
        const auto a = hn::LoadU(d, row + i);
        const auto b = hn::LoadU(d, row + stride + i);
        const auto c = hn::LoadU(d, row + 2 * stride + i);
        const auto e = hn::LoadU(d, row + 3 * stride + i);
        const auto ab = hn::InterleaveLower(d, a, b);  // a0 b0 a1 b1
        const auto ce = hn::InterleaveLower(d, c, e);
        const auto ab_upper = hn::InterleaveUpper(d, a, b);  // a2 b2 a3 b3
        const auto ce_upper = hn::InterleaveUpper(d, c, e);
        float* to = out + i * kKeyTile + n;
        hn::StoreU(hn::ConcatLowerLower(d, ce, ab), d, to);
        hn::StoreU(hn::ConcatUpperUpper(d, ce, ab), d, to + kKeyTile);
        hn::StoreU(hn::ConcatLowerLower(d, ce_upper, ab_upper), d, to + 2 * kKeyTile);
        hn::StoreU(hn::ConcatUpperUpper(d, ce_upper, ab_upper), d, to + 3 * kKeyTile);
      }
    }
  }
#endif
  if (whole == kKeyTile) return;
  for (int64_t i = 0; i < dim; ++i) {
    float* column = out + i * kKeyTile;
    for (int64_t n = whole; n < count; ++n) column[n] = rows[n * stride + i];
    std::fill(column + count, column + kKeyTile, 0.0f);
  }
}

// kHeads heads against kVectors vectors of keys; the heads' contributions are added in order.
template <int kHeads, int kVectors>
HWY_INLINE void score_heads(const float* q, const float* weight, int64_t dim, const float* tile,
                            bool strict, float* score) {
  const DF d;
  VF acc[kHeads][kVectors];
  for (int h = 0; h < kHeads; ++h) {
    for (int v = 0; v < kVectors; ++v) acc[h][v] = hn::Zero(d);
  }
  for (int64_t i = 0; i < dim; ++i) {
    VF key[kVectors];
    for (size_t v = 0; v < kVectors; ++v) key[v] = hn::LoadU(d, tile + i * kKeyTile + v * kLanes);
    for (int h = 0; h < kHeads; ++h) {
      const VF x = hn::Set(d, q[h * dim + i]);
      for (int v = 0; v < kVectors; ++v) acc[h][v] = hn::MulAdd(x, key[v], acc[h][v]);
    }
  }
  for (size_t v = 0; v < kVectors; ++v) {
    VF sum = hn::LoadU(d, score + v * kLanes);
    for (int h = 0; h < kHeads; ++h) {
      const VF dot = hn::Max(bf(acc[h][v], strict), hn::Zero(d));
      sum = hn::Add(sum, bf(hn::Mul(dot, hn::Set(d, weight[h])), strict));
    }
    hn::StoreU(sum, d, score + v * kLanes);
  }
}

void ScoreKeys(const float* q, const float* weight, int64_t heads, int64_t dim, const float* tile,
               bool strict, float* score) {
  constexpr int kVectors = HWY_MAX_BYTES >= 64 ? 4 : 2;
  constexpr int kHeads = HWY_MAX_BYTES >= 64 ? 4 : 2;
  constexpr auto kSpan = static_cast<int64_t>(kVectors * kLanes);
  static_assert(kKeyTile % kSpan == 0);
  const DF d;
  for (int64_t at = 0; at < kKeyTile; at += kSpan) {
    for (size_t v = 0; v < kVectors; ++v) hn::StoreU(hn::Zero(d), d, score + at + v * kLanes);
    int64_t h = 0;
    for (; h + kHeads <= heads; h += kHeads) {
      score_heads<kHeads, kVectors>(q + h * dim, weight + h, dim, tile + at, strict, score + at);
    }
    for (; h < heads; ++h) {
      score_heads<1, kVectors>(q + h * dim, weight + h, dim, tile + at, strict, score + at);
    }
    for (size_t v = 0; v < kVectors; ++v) {
      float* to = score + at + v * kLanes;
      hn::StoreU(bf(hn::LoadU(d, to), strict), d, to);
    }
  }
}

int64_t Above(const float* score, int64_t n, float bound, int32_t* found) {
  const DF d;
  const VF limit = hn::Set(d, bound);
  int64_t count = 0;
  for (int64_t i = 0; i < n; i += static_cast<int64_t>(kLanes)) {
    const int64_t end = std::min(i + static_cast<int64_t>(kLanes), n);
    const VF v = load(score + i, static_cast<size_t>(n - i));
    if (end - i == static_cast<int64_t>(kLanes) && hn::AllFalse(d, hn::Gt(v, limit))) continue;
    for (int64_t j = i; j < end; ++j) {
      if (score[j] > bound) found[count++] = static_cast<int32_t>(j);
    }
  }
  return count;
}

}  // namespace ds4::ops::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ds4::ops::cpu {
HWY_EXPORT(TransposeKeys);
HWY_EXPORT(ScoreKeys);
HWY_EXPORT(Above);

void transpose_keys(const float* rows, int64_t count, int64_t dim, float* out) {
  HWY_DYNAMIC_DISPATCH(TransposeKeys)(rows, count, dim, out);
}
void score_keys(const float* q, const float* weight, int64_t heads, int64_t dim, const float* tile,
                bool strict, float* score) {
  HWY_DYNAMIC_DISPATCH(ScoreKeys)(q, weight, heads, dim, tile, strict, score);
}
int64_t above(const float* score, int64_t n, float bound, int32_t* found) {
  return HWY_DYNAMIC_DISPATCH(Above)(score, n, bound, found);
}
}  // namespace ds4::ops::cpu
#endif

// Kernels of attention and of the compressor: softmax with a sink, weighted sums of cache rows and
// the per-dimension softmax pooling of a block of tokens.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/ops/cpu/attention.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.
#include <algorithm>
#include <cmath>

#include "engine/ops/cpu/kernels.h"
#include "engine/ops/cpu/simd-inl.h"
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace ds4::ops::cpu::HWY_NAMESPACE {

float SinkSoftmax(float* s, int64_t count, float sink, bool strict) {
  const DF d;
  const auto n = static_cast<size_t>(count);
  VF top = hn::Set(d, -INFINITY);
  for (size_t i = 0; i < n; i += kLanes) {
    const VF v = hn::IfThenElse(hn::FirstN(d, n - i), load(s + i, n - i), top);
    top = hn::Max(top, v);
  }
  const float largest = max_lanes(top);
  VF sum = hn::Zero(d);
  for (size_t i = 0; i < n; i += kLanes) {
    VF e = hn::Exp(d, hn::Sub(load(s + i, n - i), hn::Set(d, largest)));
    e = hn::IfThenElseZero(hn::FirstN(d, n - i), e);
    sum = hn::Add(sum, e);
    store(bf(e, strict), s + i, n - i);
  }
  return sum_lanes(sum) + std::exp(sink - largest);
}

// kHeads x kVectors accumulators over all rows, one vector of the output each.
template <int kHeads, int kVectors>
HWY_INLINE void weigh(const float* p, int64_t ldp, const float* const* rows, int64_t n, size_t at,
                      const float* z, size_t dim, bool strict, float* out, int64_t ldo) {
  const DF d;
  VF acc[kHeads][kVectors];
  for (int h = 0; h < kHeads; ++h) {
    for (int v = 0; v < kVectors; ++v) acc[h][v] = hn::Zero(d);
  }
  for (int64_t t = 0; t < n; ++t) {
    VF row[kVectors];
    for (size_t v = 0; v < kVectors; ++v) row[v] = hn::LoadU(d, rows[t] + at + v * kLanes);
    for (int h = 0; h < kHeads; ++h) {
      const VF weight = hn::Set(d, p[h * ldp + t]);
      for (int v = 0; v < kVectors; ++v) acc[h][v] = hn::MulAdd(weight, row[v], acc[h][v]);
    }
  }
  for (int h = 0; h < kHeads; ++h) {
    for (size_t v = 0; v < kVectors; ++v) {
      const size_t i = at + v * kLanes;
      if (i < dim) {
        store(bf(hn::Div(acc[h][v], hn::Set(d, z[h])), strict), out + h * ldo + i, dim - i);
      }
    }
  }
}

template <int kHeads>
HWY_INLINE void weigh_heads(const float* p, int64_t ldp, const float* const* rows, int64_t n,
                            const float* z, size_t dim, bool strict, float* out, int64_t ldo) {
  const auto width = static_cast<size_t>(padded(static_cast<int64_t>(dim)));
  size_t at = 0;
  for (; at + 4 * kLanes <= width; at += 4 * kLanes) {
    weigh<kHeads, 4>(p, ldp, rows, n, at, z, dim, strict, out, ldo);
  }
  for (; at < width; at += kLanes) {
    weigh<kHeads, 1>(p, ldp, rows, n, at, z, dim, strict, out, ldo);
  }
}

void WeightedRows(const float* p, int64_t ldp, int64_t m, const float* const* rows, int64_t n,
                  const float* z, int64_t cols, bool strict, float* out, int64_t ldo) {
  constexpr int kHeads = HWY_MAX_BYTES >= 64 ? 4 : 2;
  const auto dim = static_cast<size_t>(cols);
  int64_t h = 0;
  for (; h + kHeads <= m; h += kHeads) {
    weigh_heads<kHeads>(p + h * ldp, ldp, rows, n, z + h, dim, strict, out + h * ldo, ldo);
  }
  for (; h < m; ++h) {
    weigh_heads<1>(p + h * ldp, ldp, rows, n, z + h, dim, strict, out + h * ldo, ldo);
  }
}

void PoolRows(const float* const* kv, const float* const* score, int64_t n, int64_t cols,
              bool strict, float* out) {
  const DF d;
  const auto dim = static_cast<size_t>(cols);
  for (size_t i = 0; i < dim; i += kLanes) {
    const size_t left = dim - i;
    VF top = load(score[0] + i, left);
    for (int64_t t = 1; t < n; ++t) top = hn::Max(top, load(score[t] + i, left));
    VF total = hn::Zero(d);
    VF sum = hn::Zero(d);
    for (int64_t t = 0; t < n; ++t) {
      const VF e = hn::Exp(d, hn::Sub(load(score[t] + i, left), top));
      total = hn::Add(total, e);
      sum = hn::MulAdd(e, load(kv[t] + i, left), sum);
    }
    store(bf(hn::Div(sum, total), strict), out + i, left);
  }
}

}  // namespace ds4::ops::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ds4::ops::cpu {
HWY_EXPORT(SinkSoftmax);
HWY_EXPORT(WeightedRows);
HWY_EXPORT(PoolRows);

float sink_softmax(float* s, int64_t n, float sink, bool strict) {
  return HWY_DYNAMIC_DISPATCH(SinkSoftmax)(s, n, sink, strict);
}
void weighted_rows(const float* p, int64_t ldp, int64_t m, const float* const* rows, int64_t n,
                   const float* z, int64_t dim, bool strict, float* out, int64_t ldo) {
  HWY_DYNAMIC_DISPATCH(WeightedRows)(p, ldp, m, rows, n, z, dim, strict, out, ldo);
}
void pool_rows(const float* const* kv, const float* const* score, int64_t n, int64_t dim,
               bool strict, float* out) {
  HWY_DYNAMIC_DISPATCH(PoolRows)(kv, score, n, dim, strict, out);
}
}  // namespace ds4::ops::cpu
#endif

// Elementwise kernels and norms: everything of the forward pass that is neither a dot product nor a
// format conversion.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/ops/cpu/vectors.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.
#include <cmath>

#include "engine/base/check.h"
#include "engine/ops/cpu/kernels.h"
#include "engine/ops/cpu/simd-inl.h"
#include "engine/weights/codecs/bf16.h"
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace ds4::ops::cpu::HWY_NAMESPACE {

HWY_INLINE float rsqrt(float x) {
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(x)));
}

float InverseRms(const float* x, int64_t cols, float eps) {
  const DF d;
  const auto n = static_cast<size_t>(cols);
  VF sum = hn::Zero(d);
  for (size_t i = 0; i < n; i += kLanes) {
    const VF v = load(x + i, n - i);
    sum = hn::MulAdd(v, v, sum);
  }
  return rsqrt(sum_lanes(sum) / static_cast<float>(cols) + eps);
}

void RmsNorm(const float* x, const float* gain, float eps, int64_t cols, bool strict, float* y) {
  const DF d;
  const auto n = static_cast<size_t>(cols);
  const VF scale = hn::Set(d, InverseRms(x, cols, eps));
  for (size_t i = 0; i < n; i += kLanes) {
    VF v = hn::Mul(load(x + i, n - i), scale);
    if (gain) v = hn::Mul(load(gain + i, n - i), v);
    store(bf(v, strict), y + i, n - i);
  }
}

void NormaliseHead(float* q, int64_t dim, float eps, bool strict) {
  const DF d;
  const auto n = static_cast<size_t>(dim);
  float scale;
  if (strict) {
    VF sum = hn::Zero(d);
    for (size_t i = 0; i < n; i += kLanes) {
      const VF v = load(q + i, n - i);
      sum = hn::Add(sum, bf(hn::Mul(v, v), true));
    }
    const float mean = weights::bf16_round(sum_lanes(sum) / static_cast<float>(dim));
    scale = weights::bf16_round(rsqrt(weights::bf16_round(mean + eps)));
  } else {
    scale = InverseRms(q, dim, eps);
  }
  for (size_t i = 0; i < n; i += kLanes) {
    store(bf(hn::Mul(load(q + i, n - i), hn::Set(d, scale)), strict), q + i, n - i);
  }
}

void Rotate(float* x, int64_t rope_dim, const float* table, bool inverse, bool strict) {
  const DF d;
  const auto pairs = static_cast<size_t>(rope_dim / 2);
  const float* cosines = table;
  const float* sines = table + pairs;
  const float sign = inverse ? -1.0f : 1.0f;
  size_t i = 0;
  for (; i + kLanes <= pairs; i += kLanes) {
    VF a, b;
    hn::LoadInterleaved2(d, x + 2 * i, a, b);
    const VF c = hn::LoadU(d, cosines + i);
    const VF s = hn::Mul(hn::LoadU(d, sines + i), hn::Set(d, sign));
    const VF re = hn::NegMulAdd(b, s, hn::Mul(a, c));
    const VF im = hn::MulAdd(a, s, hn::Mul(b, c));
    hn::StoreInterleaved2(bf(re, strict), bf(im, strict), d, x + 2 * i);
  }
  for (; i < pairs; ++i) {
    const float a = x[2 * i];
    const float b = x[2 * i + 1];
    const float s = sines[i] * sign;
    const float re = std::fma(-b, s, a * cosines[i]);
    const float im = std::fma(a, s, b * cosines[i]);
    x[2 * i] = strict ? weights::bf16_round(re) : re;
    x[2 * i + 1] = strict ? weights::bf16_round(im) : im;
  }
}

void MixStreams(const float* h, const float* weight, int streams, int64_t cols, bool strict,
                float* out) {
  const DF d;
  const auto n = static_cast<size_t>(cols);
  for (size_t i = 0; i < n; i += kLanes) {
    VF sum = hn::Zero(d);
    for (int j = 0; j < streams; ++j) {
      sum = hn::MulAdd(hn::Set(d, weight[j]), load(h + static_cast<size_t>(j) * n + i, n - i), sum);
    }
    store(bf(sum, strict), out + i, n - i);
  }
}

void UpdateStreams(const float* y, const float* post, const float* comb, int streams, int64_t cols,
                   bool strict, float* h) {
  const DF d;
  const auto n = static_cast<size_t>(cols);
  VF old[kMaxStreams];
  for (size_t i = 0; i < n; i += kLanes) {
    for (int j = 0; j < streams; ++j) old[j] = load(h + static_cast<size_t>(j) * n + i, n - i);
    const VF v = load(y + i, n - i);
    for (int k = 0; k < streams; ++k) {
      VF sum = hn::Mul(hn::Set(d, post[k]), v);
      for (int j = 0; j < streams; ++j) {
        sum = hn::MulAdd(hn::Set(d, comb[j * streams + k]), old[j], sum);
      }
      store(bf(sum, strict), h + static_cast<size_t>(k) * n + i, n - i);
    }
  }
}

void Swiglu(const float* gate, const float* up, float weight, float limit, int64_t cols,
            bool strict, float* a) {
  const DF d;
  const auto n = static_cast<size_t>(cols);
  const VF top = hn::Set(d, limit);
  for (size_t i = 0; i < n; i += kLanes) {
    const VF g = hn::Min(load(gate + i, n - i), top);
    const VF u = hn::Max(hn::Min(load(up + i, n - i), top), hn::Neg(top));
    // e^-|g| cannot overflow: g / (1 + e^-g) or, multiplied out, g e^g / (1 + e^g).
    const VF e = hn::Exp(d, hn::Neg(hn::Abs(g)));
    const VF numerator = hn::IfThenElse(hn::Lt(g, hn::Zero(d)), hn::Mul(g, e), g);
    const VF silu = hn::Div(numerator, hn::Add(hn::Set(d, 1.0f), e));
    store(bf(hn::Mul(hn::Set(d, weight), hn::Mul(silu, u)), strict), a + i, n - i);
  }
}

void AddTo(const float* x, int64_t cols, float* sum) {
  const auto n = static_cast<size_t>(cols);
  for (size_t i = 0; i < n; i += kLanes) {
    store(hn::Add(load(sum + i, n - i), load(x + i, n - i)), sum + i, n - i);
  }
}

void RoundBf16(float* x, int64_t cols) {
  const auto n = static_cast<size_t>(cols);
  for (size_t i = 0; i < n; i += kLanes) store(bf(load(x + i, n - i), true), x + i, n - i);
}

}  // namespace ds4::ops::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ds4::ops::cpu {
HWY_EXPORT(InverseRms);
HWY_EXPORT(RmsNorm);
HWY_EXPORT(NormaliseHead);
HWY_EXPORT(Rotate);
HWY_EXPORT(MixStreams);
HWY_EXPORT(UpdateStreams);
HWY_EXPORT(Swiglu);
HWY_EXPORT(AddTo);
HWY_EXPORT(RoundBf16);

float inverse_rms(const float* x, int64_t cols, float eps) {
  return HWY_DYNAMIC_DISPATCH(InverseRms)(x, cols, eps);
}
void rms_norm(const float* x, const float* gain, float eps, int64_t cols, bool strict, float* y) {
  HWY_DYNAMIC_DISPATCH(RmsNorm)(x, gain, eps, cols, strict, y);
}
void normalise_head(float* q, int64_t dim, float eps, bool strict) {
  HWY_DYNAMIC_DISPATCH(NormaliseHead)(q, dim, eps, strict);
}
void rotate(float* x, int64_t rope_dim, const float* table, bool inverse, bool strict) {
  HWY_DYNAMIC_DISPATCH(Rotate)(x, rope_dim, table, inverse, strict);
}
void mix_streams(const float* h, const float* weight, int streams, int64_t cols, bool strict,
                 float* out) {
  HWY_DYNAMIC_DISPATCH(MixStreams)(h, weight, streams, cols, strict, out);
}
void update_streams(const float* y, const float* post, const float* comb, int streams, int64_t cols,
                    bool strict, float* h) {
  DS4_CHECK(streams <= kMaxStreams);
  HWY_DYNAMIC_DISPATCH(UpdateStreams)(y, post, comb, streams, cols, strict, h);
}
void swiglu(const float* gate, const float* up, float weight, float limit, int64_t cols,
            bool strict, float* a) {
  HWY_DYNAMIC_DISPATCH(Swiglu)(gate, up, weight, limit, cols, strict, a);
}
void add_to(const float* x, int64_t cols, float* sum) {
  HWY_DYNAMIC_DISPATCH(AddTo)(x, cols, sum);
}
void round_bf16(float* x, int64_t cols) {
  HWY_DYNAMIC_DISPATCH(RoundBf16)(x, cols);
}
}  // namespace ds4::ops::cpu
#endif

// Element formats: activation quantisation, simulated FP4, cache rows and weight rows to and from
// floats. All conversions are exact or nearest-even as model.md 2.2 and 3.0 define them.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/ops/cpu/quantise.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "engine/base/check.h"
#include "engine/ops/cpu/kernels.h"
#include "engine/ops/cpu/simd-inl.h"
#include "engine/weights/codecs/bf16.h"
#include "engine/weights/codecs/e2m1.h"
#include "engine/weights/codecs/e4m3.h"
#include "engine/weights/codecs/e8m0.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace ds4::ops::cpu::HWY_NAMESPACE {
using weights::Matrix;

HWY_INLINE float largest_magnitude(const float* x, size_t n) {
  const DF d;
  VF top = hn::Zero(d);
  for (size_t i = 0; i < n; i += kLanes) top = hn::Max(top, hn::Abs(load(x + i, n - i)));
  return max_lanes(top);
}

// Scales of model.md 3.0: the smallest power of two >= max|x| / limit, with a floor.
HWY_INLINE uint8_t scale_e4m3(const float* x, size_t n) {
  const float t = std::max(largest_magnitude(x, n), 1e-4f) * (1.0f / 448.0f);
  return weights::e8m0_ceil_encode(t);
}

HWY_INLINE uint8_t scale_e2m1(const float* x, size_t n) {
  const float t = std::max(largest_magnitude(x, n), 6 * 0x1p-126f) * (1.0f / 6.0f);
  return weights::e8m0_ceil_encode(t);
}

HWY_INLINE VF clamped(VF v, float limit) {
  const DF d;
  return hn::Min(hn::Max(v, hn::Set(d, -limit)), hn::Set(d, limit));
}

void PrepareRow(const float* x, int64_t cols, int64_t block, bool quantise, float* out) {
  const DF d;
  const auto n = static_cast<size_t>(cols);
  std::fill(out + n, out + padded(cols), 0.0f);
  if (!quantise) {
    std::copy(x, x + n, out);
    return;
  }
  for (size_t begin = 0; begin < n; begin += static_cast<size_t>(block)) {
    const size_t count = std::min(static_cast<size_t>(block), n - begin);
    const float scale = weights::e8m0_decode(scale_e4m3(x + begin, count));
    const VF up = hn::Set(d, scale);
    const VF down = hn::Set(d, 1 / scale);
    for (size_t i = 0; i < count; i += kLanes) {
      const VF v = clamped(hn::Mul(load(x + begin + i, count - i), down), 448.0f);
      store(hn::Mul(round_e4m3(v), up), out + begin + i, count - i);
    }
  }
}

void SimulateFp4(float* x, int64_t cols) {
  const DF d;
  const auto n = static_cast<size_t>(cols);
  for (size_t begin = 0; begin < n; begin += kIndexBlock) {
    const size_t count = std::min<size_t>(kIndexBlock, n - begin);
    const float scale = weights::e8m0_decode(scale_e2m1(x + begin, count));
    for (size_t i = 0; i < count; i += kLanes) {
      const VF v = hn::Mul(load(x + begin + i, count - i), hn::Set(d, 1 / scale));
      const VF q = round_e2m1(clamped(v, 6.0f));
      store(bf(hn::Mul(q, hn::Set(d, scale)), true), x + begin + i, count - i);
    }
  }
}

void Hadamard(float* x, int64_t n, bool strict) {
  const DF d;
  const auto size = static_cast<size_t>(n);
  for (size_t step = 1; step < size; step *= 2) {
    for (size_t begin = 0; begin < size; begin += 2 * step) {
      float* low = x + begin;
      float* high = low + step;
      if (step < kLanes) {
        for (size_t i = 0; i < step; ++i) {
          const float a = low[i];
          const float b = high[i];
          low[i] = a + b;
          high[i] = a - b;
        }
        continue;
      }
      for (size_t i = 0; i < step; i += kLanes) {
        const VF a = hn::LoadU(d, low + i);
        const VF b = hn::LoadU(d, high + i);
        hn::StoreU(hn::Add(a, b), d, low + i);
        hn::StoreU(hn::Sub(a, b), d, high + i);
      }
    }
  }
  const VF factor = hn::Set(d, static_cast<float>(1.0 / std::sqrt(static_cast<double>(n))));
  for (size_t i = 0; i < size; i += kLanes) {
    store(bf(hn::Mul(load(x + i, size - i), factor), strict), x + i, size - i);
  }
}

void EncodeRow(const RowLayout& layout, const float* x, std::byte* row) {
  auto* bytes = reinterpret_cast<uint8_t*>(row);
  const auto dim = static_cast<size_t>(layout.dim);
  switch (layout.format) {
    case RowFormat::kF32:
      std::memcpy(row, x, dim * sizeof(float));
      return;
    case RowFormat::kBf16:
      for (size_t i = 0; i < dim; ++i) {
        const uint16_t code = weights::bf16_encode(x[i]);
        std::memcpy(bytes + 2 * i, &code, 2);
      }
      return;
    case RowFormat::kFp8: {
      const auto nope = static_cast<size_t>(layout.nope_dim());
      uint8_t* scales = bytes + layout.scale_offset();
      for (size_t begin = 0; begin < nope; begin += kKvBlock) {
        const size_t end = std::min<size_t>(begin + kKvBlock, nope);
        *scales = scale_e4m3(x + begin, end - begin);
        const float down = 1 / weights::e8m0_decode(*scales++);
        for (size_t i = begin; i < end; ++i) bytes[i] = weights::e4m3_encode(x[i] * down);
      }
      for (size_t i = nope; i < dim; ++i) {
        const uint16_t code = weights::bf16_encode(x[i]);
        std::memcpy(bytes + layout.rope_offset() + 2 * (i - nope), &code, 2);
      }
      return;
    }
    case RowFormat::kFp4: {
      uint8_t* scales = bytes + layout.scale_offset();
      std::memset(bytes, 0, (dim + 1) / 2);
      for (size_t begin = 0; begin < dim; begin += kIndexBlock) {
        const size_t end = std::min<size_t>(begin + kIndexBlock, dim);
        *scales = scale_e2m1(x + begin, end - begin);
        const float down = 1 / weights::e8m0_decode(*scales++);
        for (size_t i = begin; i < end; ++i) {
          const int code = weights::e2m1_encode(x[i] * down);
          bytes[i / 2] = static_cast<uint8_t>(bytes[i / 2] | (i % 2 ? code << 4 : code));
        }
      }
      return;
    }
  }
}

// The decoders below write whole vectors: `out` is padded. A ragged end is copied to a zeroed
// buffer first, because nothing may be read beyond a mapped file.
struct RaggedEnd {
  alignas(64) uint8_t bytes[64] = {};
  RaggedEnd(const uint8_t* from, size_t n) { std::memcpy(bytes, from, n); }
};

HWY_INLINE void decode_e4m3_block(const uint8_t* codes, size_t n, float scale, float* out) {
  const DF d;
  const VF factor = hn::Set(d, kE4m3Factor);
  const VF by = hn::Set(d, scale);  // not joined with the factor: the product could overflow
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    hn::StoreU(hn::Mul(hn::Mul(decode_e4m3(codes + i), factor), by), d, out + i);
  }
  if (i < n) {
    const RaggedEnd end(codes + i, n - i);
    hn::StoreU(hn::Mul(hn::Mul(decode_e4m3(end.bytes), factor), by), d, out + i);
  }
}

HWY_INLINE void decode_e2m1_block(const uint8_t* bytes, size_t n, float scale, float* out) {
  const DF d;
  const VF factor = hn::Set(d, kE2m1Factor);
  const VF by = hn::Set(d, scale);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    hn::StoreU(hn::Mul(hn::Mul(decode_e2m1(bytes + i / 2), factor), by), d, out + i);
  }
  if (i < n) {
    const RaggedEnd end(bytes + i / 2, (n - i + 1) / 2);
    const VF v = hn::Mul(hn::Mul(decode_e2m1(end.bytes), factor), by);
    // An odd row leaves half a byte that belongs to no column.
    hn::StoreU(hn::IfThenElseZero(hn::FirstN(d, n - i), v), d, out + i);
  }
}

HWY_INLINE void decode_bf16_values(const uint8_t* bytes, size_t n, float* out) {
  const DF d;
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) hn::StoreU(decode_bf16(bytes + 2 * i), d, out + i);
  if (i < n) {
    const RaggedEnd end(bytes + 2 * i, 2 * (n - i));
    hn::StoreU(decode_bf16(end.bytes), d, out + i);
  }
}

void DecodeRow(const RowLayout& layout, const std::byte* row, float* out) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(row);
  const auto dim = static_cast<size_t>(layout.dim);
  switch (layout.format) {
    case RowFormat::kF32:
      std::memcpy(out, row, dim * sizeof(float));
      break;
    case RowFormat::kBf16:
      decode_bf16_values(bytes, dim, out);
      break;
    case RowFormat::kFp8: {
      const auto nope = static_cast<size_t>(layout.nope_dim());
      const uint8_t* scales = bytes + layout.scale_offset();
      for (size_t begin = 0; begin < nope; begin += kKvBlock) {
        decode_e4m3_block(bytes + begin, std::min<size_t>(kKvBlock, nope - begin),
                          weights::e8m0_decode(*scales++), out + begin);
      }
      const uint8_t* rope = bytes + layout.rope_offset();
      const auto rope_dim = static_cast<size_t>(layout.rope_dim);
      if (nope % kPad == 0) {
        decode_bf16_values(rope, rope_dim, out + nope);
      } else {  // a whole vector might reach beyond the padded row
        for (size_t i = 0; i < rope_dim; ++i) {
          uint16_t code;
          std::memcpy(&code, rope + 2 * i, 2);
          out[nope + i] = weights::bf16_decode(code);
        }
      }
      break;
    }
    case RowFormat::kFp4: {
      const uint8_t* scales = bytes + layout.scale_offset();
      for (size_t begin = 0; begin < dim; begin += kIndexBlock) {
        decode_e2m1_block(bytes + begin / 2, std::min<size_t>(kIndexBlock, dim - begin),
                          weights::e8m0_decode(*scales++), out + begin);
      }
      break;
    }
  }
  std::fill(out + dim, out + padded(layout.dim), 0.0f);
}

void DecodeWeights(const Matrix& w, int64_t row, int64_t begin, int64_t end, float* out) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(w.row_data(row)) + w.row_bytes(begin);
  const auto cols = static_cast<size_t>(end - begin);
  const uint8_t* scales = w.row_scales(row);
  switch (w.format) {
    case Matrix::Format::kF32:
      std::memcpy(out, bytes, cols * sizeof(float));
      break;
    case Matrix::Format::kBf16:
      decode_bf16_values(bytes, cols, out);
      break;
    case Matrix::Format::kFp8:
      scales += begin / weights::kFp8Block;
      for (size_t at = 0; at < cols; at += weights::kFp8Block) {
        decode_e4m3_block(bytes + at, std::min<size_t>(weights::kFp8Block, cols - at),
                          weights::e8m0_decode(*scales++), out + at);
      }
      break;
    case Matrix::Format::kFp4:
      scales += begin / weights::kFp4Block;
      for (size_t at = 0; at < cols; at += weights::kFp4Block) {
        decode_e2m1_block(bytes + at / 2, std::min<size_t>(weights::kFp4Block, cols - at),
                          weights::e8m0_decode(*scales++), out + at);
      }
      break;
  }
  std::fill(out + cols, out + padded(end - begin), 0.0f);
}

}  // namespace ds4::ops::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ds4::ops::cpu {
HWY_EXPORT(PrepareRow);
HWY_EXPORT(SimulateFp4);
HWY_EXPORT(Hadamard);
HWY_EXPORT(EncodeRow);
HWY_EXPORT(DecodeRow);
HWY_EXPORT(DecodeWeights);

void prepare_row(const float* x, int64_t cols, int64_t block, bool quantise, float* out) {
  HWY_DYNAMIC_DISPATCH(PrepareRow)(x, cols, block, quantise, out);
}
void simulate_fp4(float* x, int64_t cols) {
  HWY_DYNAMIC_DISPATCH(SimulateFp4)(x, cols);
}
void hadamard(float* x, int64_t n, bool strict) {
  DS4_CHECK(n > 0 && (n & (n - 1)) == 0);
  HWY_DYNAMIC_DISPATCH(Hadamard)(x, n, strict);
}
void encode_row(const RowLayout& layout, const float* x, std::byte* row) {
  HWY_DYNAMIC_DISPATCH(EncodeRow)(layout, x, row);
}
void decode_row(const RowLayout& layout, const std::byte* row, float* out) {
  HWY_DYNAMIC_DISPATCH(DecodeRow)(layout, row, out);
}
void decode_weights(const weights::Matrix& w, int64_t row, int64_t begin, int64_t end, float* out) {
  HWY_DYNAMIC_DISPATCH(DecodeWeights)(w, row, begin, end, out);
}
}  // namespace ds4::ops::cpu
#endif

// One policy per way of feeding stored weights to mma.sync: how many 16-byte units a lane holds per
// group of 128 k, and how they become A fragments. The k order inside a group is free as long as x
// follows it (arrange.cu), so a lane's 16 contiguous bytes serve several products without a
// shuffle. Sums leave the tensor core at least every 128 k, because it truncates.
#pragma once

#include "engine/ops/cuda/kernels.h"
#include "engine/ops/cuda/mma.cuh"

namespace ds4::ops::cuda {

// The bit moves below are exact for every finite code, subnormals included, short of these powers
// of two, which go into the scale.
inline constexpr float kFp8F16Bias = 256.0f;    // 2^8: E4M3 exponent bias 7 read under bias 15
inline constexpr float kFp4F16Bias = 16384.0f;  // 2^14: E2M1 bias 1 under 15
inline constexpr float kFp8Bf16Bias = 0x1p60f;  // of 2^120; the other half is in x (kBf16Wide),
                                                // which keeps float products out of the subnormals

struct Pair {
  uint32_t a, b;
};

// Bytes (0, 2) and (1, 3) of w as f16 pairs, short of kFp8F16Bias.
__device__ __forceinline__ Pair fp8_bits_f16(uint32_t w) {
  return {((w << 8) & 0x80008000u) | ((w << 7) & 0x3f803f80u),
          (w & 0x80008000u) | ((w >> 1) & 0x3f803f80u)};
}

// The same short of kFp8Bias: by conversion where the GPU has it, in less than half of the
// instructions.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
inline constexpr float kFp8Bias = 1.0f;
__device__ __forceinline__ Pair fp8_f16(uint32_t w) {
  const uint32_t bytes = __byte_perm(w, 0, 0x3120);
  Pair pair;
  asm("{\n.reg .b16 low, high;\nmov.b32 {low, high}, %2;\n"
      "cvt.rn.f16x2.e4m3x2 %0, low;\ncvt.rn.f16x2.e4m3x2 %1, high;\n}"
      : "=r"(pair.a), "=r"(pair.b)
      : "r"(bytes));
  return pair;
}
#else
inline constexpr float kFp8Bias = kFp8F16Bias;
__device__ __forceinline__ Pair fp8_f16(uint32_t w) {
  return fp8_bits_f16(w);
}
#endif

// Bytes (0, 2) and (1, 3) as bf16 pairs, short of 2^120.
__device__ __forceinline__ Pair fp8_bits_bf16(uint32_t w) {
  return {((w << 8) & 0x80008000u) | ((w << 4) & 0x07f007f0u),
          (w & 0x80008000u) | ((w >> 4) & 0x07f007f0u)};
}

// Codes (i, i + 4), i in 0..3, of a planes word as an f16 pair short of kFp4F16Bias. Each half
// holds four codes with the bits where two of them need one mask and one shift at most: magnitudes
// at 11..9, 8..6, 5..3, 2..0, signs at 15, 12, 13, 14 (repack.cu). The others' sign and magnitude
// are shifted apart by one multiplication, in which no two bits meet.
template <int i>
__device__ __forceinline__ uint32_t planes_bits_f16(uint32_t w) {
  constexpr uint32_t kPlace = 0x8e008e00u;
  if constexpr (i == 0) return w & kPlace;
  if constexpr (i == 1) return (w << 3) & kPlace;
  if constexpr (i == 2) return ((w & 0x20382038u) * ((1u << 6) + (1u << 2))) & kPlace;
  return ((w & 0x40074007u) * ((1u << 9) + (1u << 1))) & kPlace;
}

// 2^(e - 127) for 1 <= e <= 254: the loader puts other scales on the plain path.
__device__ __forceinline__ float e8m0_float(uint32_t e) {
  return __uint_as_float(e << 23);
}

/// The scales a lane needs for one group: rows g and g + 8, columns 2t and 2t + 1.
struct GroupScales {
  uint32_t row0, row1;  // raw E8M0: FP8 one byte (equal rows), MXFP4 four bytes each
  float col0, col1;     // of x; 1 where x carries its scale
};

enum class Scales { kNone, kBlock, kRow };

// FP8: units (chunk c, half h) -> u = 2c + h; a lane's unit is k = 64c + 16t .. +15 of row g + 8h.
template <Feed feed>
struct Fp8Feed {
  static constexpr Feed kFeed = feed;
  static constexpr int kUnits = 4;
  static constexpr int kXUnits = feed == Feed::kFp8E4m3 ? 2 : 4;
  static constexpr int kRing = 2;  // groups that a warp of few columns has under way
  static constexpr bool kXScale = feed != Feed::kFp8Wide;
  static constexpr Scales kScales = Scales::kBlock;
  static constexpr float kBias = feed == Feed::kFp8F16    ? kFp8Bias
                                 : feed == Feed::kFp8Wide ? kFp8Bf16Bias
                                                          : 1.0f;

  // As the products take them: four registers each.
  static constexpr int kProducts = feed == Feed::kFp8E4m3 ? 4 : 8;
  struct Fragments {
    uint32_t a[kProducts][4];
  };

  __device__ static Fragments unpack(const uint4 (&w)[kUnits]) {
    Fragments f;
#pragma unroll
    for (int p = 0; p < kProducts; ++p) {
      const int c = p / (kProducts / 2);
      if constexpr (feed == Feed::kFp8E4m3) {
        const int m = p % 2;
        f.a[p][0] = word(w[2 * c], 2 * m);
        f.a[p][1] = word(w[2 * c + 1], 2 * m);
        f.a[p][2] = word(w[2 * c], 2 * m + 1);
        f.a[p][3] = word(w[2 * c + 1], 2 * m + 1);
      } else {
        const uint32_t top_word = word(w[2 * c], p % 4);
        const uint32_t low_word = word(w[2 * c + 1], p % 4);
        const Pair top = feed == Feed::kFp8F16 ? fp8_f16(top_word) : fp8_bits_bf16(top_word);
        const Pair low = feed == Feed::kFp8F16 ? fp8_f16(low_word) : fp8_bits_bf16(low_word);
        f.a[p][0] = top.a;
        f.a[p][1] = low.a;
        f.a[p][2] = top.b;
        f.a[p][3] = low.b;
      }
    }
    return f;
  }
  __device__ static void multiply(const Fragments& f, const uint4 (&x)[kXUnits],
                                  const GroupScales& s, float (&acc)[4]) {
    float part[4] = {};
#pragma unroll
    for (int p = 0; p < kProducts; ++p) {
      const uint32_t(&a)[4] = f.a[p];
      const uint32_t b0 = word(x[p / 2], p % 2 * 2);
      const uint32_t b1 = word(x[p / 2], p % 2 * 2 + 1);
      if constexpr (feed == Feed::kFp8E4m3) {
        mma_e4m3(part, a[0], a[1], a[2], a[3], b0, b1);
      } else if constexpr (feed == Feed::kFp8F16) {
        mma_f16(part, a[0], a[1], a[2], a[3], b0, b1);
      } else {
        mma_bf16(part, a[0], a[1], a[2], a[3], b0, b1);
      }
    }
    const float block = e8m0_float(s.row0) * kBias;
    acc[0] = fmaf(part[0], block * s.col0, acc[0]);
    acc[1] = fmaf(part[1], block * s.col1, acc[1]);
    acc[2] = fmaf(part[2], block * s.col0, acc[2]);
    acc[3] = fmaf(part[3], block * s.col1, acc[3]);
  }
  __device__ static void accumulate(const uint4 (&w)[kUnits], const uint4 (&x)[kXUnits],
                                    const GroupScales& s, float (&acc)[4]) {
    multiply(unpack(w), x, s, acc);
  }
};

// MXFP4 planes: word b of unit h is k = 32b + 8t .. +7 of row g + 8h, so a product covers one scale
// block and the scale goes onto its four sums.
struct Fp4PlanesFeed {
  static constexpr Feed kFeed = Feed::kFp4Planes;
  static constexpr int kUnits = 2;
  static constexpr int kXUnits = 4;
  static constexpr int kRing = 4;
  static constexpr bool kXScale = true;
  static constexpr Scales kScales = Scales::kRow;
  static constexpr float kBias = kFp4F16Bias;

  struct Fragments {
    uint32_t a[8][4];
  };

  // The two products of one scale block, from a word of each unit.
  __device__ static void unpack_block(uint32_t v, uint32_t u, uint32_t (&p)[4], uint32_t (&q)[4]) {
    p[0] = planes_bits_f16<0>(v);
    p[1] = planes_bits_f16<0>(u);
    p[2] = planes_bits_f16<1>(v);
    p[3] = planes_bits_f16<1>(u);
    q[0] = planes_bits_f16<2>(v);
    q[1] = planes_bits_f16<2>(u);
    q[2] = planes_bits_f16<3>(v);
    q[3] = planes_bits_f16<3>(u);
  }
  __device__ static Fragments unpack(const uint4 (&w)[kUnits]) {
    Fragments f;
#pragma unroll
    for (int b = 0; b < 4; ++b)
      unpack_block(word(w[0], b), word(w[1], b), f.a[2 * b], f.a[2 * b + 1]);
    return f;
  }
  // group += the sums of a group of k, short of kBias and of the scales of x.
  __device__ static void sum_group(const Fragments& f, const uint4 (&x)[kXUnits], uint32_t row0,
                                   uint32_t row1, float (&group)[4]) {
#pragma unroll
    for (int b = 0; b < 4; ++b) {
      float part[4] = {};
      const uint32_t(&p)[4] = f.a[2 * b];
      const uint32_t(&q)[4] = f.a[2 * b + 1];
      mma_f16(part, p[0], p[1], p[2], p[3], x[b].x, x[b].y);
      mma_f16(part, q[0], q[1], q[2], q[3], x[b].z, x[b].w);
      const float top = e8m0_float((row0 >> (8 * b)) & 0xffu);
      const float low = e8m0_float((row1 >> (8 * b)) & 0xffu);
      group[0] = fmaf(part[0], top, group[0]);
      group[1] = fmaf(part[1], top, group[1]);
      group[2] = fmaf(part[2], low, group[2]);
      group[3] = fmaf(part[3], low, group[3]);
    }
  }
  __device__ static void multiply(const Fragments& f, const uint4 (&x)[kXUnits],
                                  const GroupScales& s, float (&acc)[4]) {
    float group[4] = {};
    sum_group(f, x, s.row0, s.row1, group);
    acc[0] = fmaf(group[0], s.col0 * kBias, acc[0]);
    acc[1] = fmaf(group[1], s.col1 * kBias, acc[1]);
    acc[2] = fmaf(group[2], s.col0 * kBias, acc[2]);
    acc[3] = fmaf(group[3], s.col1 * kBias, acc[3]);
  }
  __device__ static void accumulate(const uint4 (&w)[kUnits], const uint4 (&x)[kXUnits],
                                    const GroupScales& s, float (&acc)[4]) {
    multiply(unpack(w), x, s, acc);
  }
};

// BF16: units (chunk c, half h) -> u = 2c + h; k = 32c + 8t .. +7, which x has in its own order.
struct Bf16Feed {
  static constexpr Feed kFeed = Feed::kBf16;
  static constexpr int kUnits = 8;
  static constexpr int kXUnits = 4;
  static constexpr int kRing = 2;
  static constexpr bool kXScale = false;
  static constexpr Scales kScales = Scales::kNone;
  static constexpr float kBias = 1;

  struct Fragments {
    uint32_t a[8][4];
  };

  __device__ static Fragments unpack(const uint4 (&w)[kUnits]) {
    Fragments f;
#pragma unroll
    for (int p = 0; p < 8; ++p) {
      const uint4& top = w[p / 2 * 2];
      const uint4& low = w[p / 2 * 2 + 1];
      f.a[p][0] = word(top, p % 2 * 2);
      f.a[p][1] = word(low, p % 2 * 2);
      f.a[p][2] = word(top, p % 2 * 2 + 1);
      f.a[p][3] = word(low, p % 2 * 2 + 1);
    }
    return f;
  }
  __device__ static void multiply(const Fragments& f, const uint4 (&x)[kXUnits],
                                  const GroupScales& /*s*/, float (&acc)[4]) {
    float part[4] = {};
#pragma unroll
    for (int p = 0; p < 8; ++p) {
      const uint32_t(&a)[4] = f.a[p];
      mma_bf16(part, a[0], a[1], a[2], a[3], word(x[p / 2], p % 2 * 2),
               word(x[p / 2], p % 2 * 2 + 1));
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) acc[i] += part[i];
  }
  __device__ static void accumulate(const uint4 (&w)[kUnits], const uint4 (&x)[kXUnits],
                                    const GroupScales& s, float (&acc)[4]) {
    multiply(unpack(w), x, s, acc);
  }
};

/// Calls run(policy) with the policy of a feed.
template <class Run>
void with_feed(Feed feed, const Run& run) {
  switch (feed) {
    case Feed::kFp8E4m3:
      return run(Fp8Feed<Feed::kFp8E4m3>());
    case Feed::kFp8F16:
      return run(Fp8Feed<Feed::kFp8F16>());
    case Feed::kFp8Wide:
      return run(Fp8Feed<Feed::kFp8Wide>());
    case Feed::kFp4Planes:
      return run(Fp4PlanesFeed());
    case Feed::kBf16:
      return run(Bf16Feed());
  }
}

}  // namespace ds4::ops::cuda

// One policy per way of feeding weights to mma.sync: how many 16-byte units a lane holds per group
// of 128 k, and how they become A fragments. The k order inside a group is free as long as x
// follows it (x_order), so a lane's 16 contiguous bytes serve several products without any shuffle.
#pragma once

#include "convert.cuh"

namespace ds4::bench {

// A feed of the engine with `ahead` groups in flight per warp.
template <class Feed, int ahead>
struct EnginePolicy : Feed {
  static constexpr int kAhead = ahead;
  __device__ static void accumulate(const uint4 (&w)[Feed::kUnits], const uint4 (&x)[Feed::kXUnits],
                                    const GroupScales& s, int /*t*/, float (&acc)[4]) {
    Feed::accumulate(w, x, s, acc);
  }
};

// FP8 by the conversion instruction, to f16 or bf16: units as in the engine's Fp8Feed.
template <bool bf16>
struct Fp8CvtPolicy {
  static constexpr int kUnits = 4;
  static constexpr int kXUnits = 4;
  static constexpr int kAhead = 2;
  static constexpr bool kXScale = !bf16;

  __device__ static void accumulate(const uint4 (&w)[kUnits], const uint4 (&x)[kXUnits],
                                    const GroupScales& s, int /*t*/, float (&acc)[4]) {
    float part[4] = {};
#pragma unroll
    for (int c = 0; c < 2; ++c) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const Pair top = convert(word(w[2 * c], j));
        const Pair low = convert(word(w[2 * c + 1], j));
        const uint4& xv = x[2 * c + j / 2];
        const std::uint32_t b0 = word(xv, (j % 2) * 2);
        const std::uint32_t b1 = word(xv, (j % 2) * 2 + 1);
        if constexpr (bf16) {
          mma_bf16(part, top.a, low.a, top.b, low.b, b0, b1);
        } else {
          mma_f16(part, top.a, low.a, top.b, low.b, b0, b1);
        }
      }
    }
    const float block = e8m0_float(s.row0);
    acc[0] += part[0] * (block * s.col0);
    acc[1] += part[1] * (block * s.col1);
    acc[2] += part[2] * (block * s.col0);
    acc[3] += part[3] * (block * s.col1);
  }

 private:
  __device__ static Pair convert(std::uint32_t v) {
    const Pair p = fp8_cvt_f16(v);
    if constexpr (!bf16) return p;
    return {bf16_pack(f16_floats(p.a)), bf16_pack(f16_floats(p.b))};
  }
};

// MXFP4, native bytes: unit h is one whole scale block of row g + 8h, k = 32t .. +31, so the four
// lanes of a fragment row hold different scale blocks and the scale must go in before the product.
struct Fp4PrescalePolicy {
  static constexpr int kUnits = 2;
  static constexpr int kXUnits = 4;
  static constexpr int kAhead = 4;
  static constexpr bool kXScale = false;

  __device__ static void accumulate(const uint4 (&w)[kUnits], const uint4 (&x)[kXUnits],
                                    const GroupScales& s, int t, float (&acc)[4]) {
    const std::uint32_t top = scale_pair(s.row0, t);
    const std::uint32_t low = scale_pair(s.row1, t);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const std::uint32_t v = word(w[0], j);
      const std::uint32_t u = word(w[1], j);
      mma_bf16(acc, scaled(fp4_bits_bf16<0>(v), top), scaled(fp4_bits_bf16<0>(u), low),
               scaled(fp4_bits_bf16<1>(v), top), scaled(fp4_bits_bf16<1>(u), low), x[j].x, x[j].y);
      mma_bf16(acc, scaled(fp4_bits_bf16<2>(v), top), scaled(fp4_bits_bf16<2>(u), low),
               scaled(fp4_bits_bf16<3>(v), top), scaled(fp4_bits_bf16<3>(u), low), x[j].z, x[j].w);
    }
  }

 private:
  // 2^(e - 127 + 126) twice; e <= 128, which the loader checks (scales above 2 do not occur).
  __device__ static std::uint32_t scale_pair(std::uint32_t bytes, int t) {
    const std::uint32_t e = (bytes >> (8 * t)) & 0xffu;
    return (e + kFp4Bf16BiasExponent) * 0x00800080u;
  }
  __device__ static std::uint32_t scaled(std::uint32_t v, std::uint32_t scale) {
    const __nv_bfloat162 p = __hmul2(reinterpret_cast<const __nv_bfloat162&>(v),
                                     reinterpret_cast<const __nv_bfloat162&>(scale));
    return reinterpret_cast<const std::uint32_t&>(p);
  }
};

// MXFP4 in kWords layout: word b of unit h is k = 32b + 8t .. +7 of row g + 8h, so a product covers
// one scale block and the scale goes onto its four sums.
template <bool e4m3>
struct Fp4WordsPolicy {
  static constexpr int kUnits = 2;
  static constexpr int kXUnits = e4m3 ? 2 : 4;
  static constexpr int kAhead = 4;
  static constexpr bool kXScale = true;

  __device__ static void accumulate(const uint4 (&w)[kUnits], const uint4 (&x)[kXUnits],
                                    const GroupScales& s, int /*t*/, float (&acc)[4]) {
    float group[4] = {};
#pragma unroll
    for (int b = 0; b < 4; ++b) {
      const std::uint32_t v = word(w[0], b);
      const std::uint32_t u = word(w[1], b);
      float part[4] = {};
      if constexpr (e4m3) {
        const Pair top = fp4_bits_e4m3(v);
        const Pair low = fp4_bits_e4m3(u);
        mma_e4m3(part, top.a, low.a, top.b, low.b, word(x[b / 2], (b % 2) * 2),
                 word(x[b / 2], (b % 2) * 2 + 1));
      } else {
        mma_f16(part, fp4_bits_f16<0>(v), fp4_bits_f16<0>(u), fp4_bits_f16<1>(v),
                fp4_bits_f16<1>(u), x[b].x, x[b].y);
        mma_f16(part, fp4_bits_f16<2>(v), fp4_bits_f16<2>(u), fp4_bits_f16<3>(v),
                fp4_bits_f16<3>(u), x[b].z, x[b].w);
      }
      const float top = e8m0_float((s.row0 >> (8 * b)) & 0xffu);
      const float low = e8m0_float((s.row1 >> (8 * b)) & 0xffu);
      group[0] += part[0] * top;
      group[1] += part[1] * top;
      group[2] += part[2] * low;
      group[3] += part[3] * low;
    }
    const float bias = e4m3 ? kFp4E4m3Bias : kFp4F16Bias;
    acc[0] += group[0] * (s.col0 * bias);
    acc[1] += group[1] * (s.col1 * bias);
    acc[2] += group[2] * (s.col0 * bias);
    acc[3] += group[3] * (s.col1 * bias);
  }
};

}  // namespace ds4::bench

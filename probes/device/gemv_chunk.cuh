// What a warp does with a chunk of 16 rows by 256 columns: load it, decode it and multiply it with
// up to 8 columns of x. Device code of gemv.cu.
#pragma once

#include "probes/device/gemv_decode.cuh"
#include "probes/device/gemv_format.h"

namespace ds4::probes::gemv {

using enum WeightFormat;

inline constexpr int kWarp = 32;
inline constexpr int kPieces = 8;  // 16-byte pieces of x that a lane takes per chunk

struct Args {
  const uint4* codes;
  const uint8_t* scales;
  const uint8_t* blocks;
  const uint4* x;
  const uint4* sums;
  float* y;
  int rows, chunks, n_x, warps;
};

// What a lane has of a chunk: codes of rows g and g + 8, and the scales that go with them.
template <WeightFormat format>
struct Loaded {
  static constexpr int kUnits = code_units(format);
  static constexpr int kScaleWords = format == kQ8_0 ? 4 : format == kMxfp4 ? 2 : 1;
  uint4 codes[2][kUnits];
  uint32_t scales[2][kScaleWords];
  uint32_t blocks[2];
};

template <WeightFormat format>
__device__ __forceinline__ void load(const Args& a, int tile, int chunk, int lane,
                                     Loaded<format>& to) {
  const int64_t place = int64_t{tile} * a.chunks + chunk;
  const uint4* codes = a.codes + place * (code_bytes(format) / 16) + lane;
#pragma unroll
  for (int h = 0; h < 2; ++h) {
#pragma unroll
    for (int u = 0; u < Loaded<format>::kUnits; ++u) {
      to.codes[h][u] = __ldcs(codes + (h * Loaded<format>::kUnits + u) * kWarp);
    }
  }
  const uint8_t* scales = a.scales + place * scale_bytes(format);
  const uint8_t* blocks = a.blocks + place * block_bytes(format);
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int row = h * 8 + lane / 4;
    if constexpr (format == kQ8_0) {
      const uint4 s = __ldcs(reinterpret_cast<const uint4*>(scales) + row);
      to.scales[h][0] = s.x, to.scales[h][1] = s.y, to.scales[h][2] = s.z, to.scales[h][3] = s.w;
    } else if constexpr (format == kMxfp4) {
      const uint2 s = __ldcs(reinterpret_cast<const uint2*>(scales) + row);
      to.scales[h][0] = s.x, to.scales[h][1] = s.y;
    } else if constexpr (format == kNvfp4 || format == kQ2K) {
      to.scales[h][0] = __ldcs(reinterpret_cast<const uint32_t*>(scales) + h * kWarp + lane);
    } else if constexpr (format == kInt4) {
      to.scales[h][0] = __ldcs(reinterpret_cast<const uint32_t*>(scales) + row);
    } else if constexpr (format == kFp8) {
      if (h == 0) {
        to.scales[0][0] = *reinterpret_cast<const uint16_t*>(
            a.scales + (int64_t{tile / 8} * a.chunks + chunk) * 2);
      }
    }
    if constexpr (format == kQ2K) {
      to.blocks[h] = __ldcs(reinterpret_cast<const uint32_t*>(blocks) + row);
    } else if constexpr (format == kIq2Xxs) {
      to.blocks[h] = __ldcs(reinterpret_cast<const unsigned short*>(blocks) + row);
    }
  }
}

__device__ __forceinline__ uint32_t word(const uint4& v, int i) {
  return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
}

// sums += A B: rows g and g + 8 of two pairs each, against two pairs of x.
template <WeightFormat format>
__device__ __forceinline__ void multiply(float (&sums)[4], const uint32_t (&first)[2],
                                         const uint32_t (&second)[2], uint32_t x0, uint32_t x1) {
  if constexpr (format == kBf16) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(first[0]), "r"(second[0]), "r"(first[1]), "r"(second[1]), "r"(x0), "r"(x1));
  } else {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(first[0]), "r"(second[0]), "r"(first[1]), "r"(second[1]), "r"(x0), "r"(x1));
  }
}

__device__ __forceinline__ void scaled(float (&to)[4], const float (&part)[4], float row,
                                       float row8) {
  to[0] = fmaf(part[0], row, to[0]);
  to[1] = fmaf(part[1], row, to[1]);
  to[2] = fmaf(part[2], row8, to[2]);
  to[3] = fmaf(part[3], row8, to[3]);
}

// The activations of a lane's column, piece by piece.
struct Input {
  const uint4* at;
  __device__ __forceinline__ uint4 piece(int i) const { return __ldg(at + i * kWarp); }
};

// Products of N pairs of two rows, N a multiple of 4, against N / 4 pieces from `piece` on.
template <WeightFormat format, int n>
__device__ __forceinline__ void multiply_pairs(float (&sums)[4], const uint32_t (&pairs)[2][n],
                                               const Input& x, int piece) {
#pragma unroll
  for (int i = 0; i < n; i += 4) {
    const uint4 v = x.piece(piece + i / 4);
    const uint32_t a0[2] = {pairs[0][i], pairs[0][i + 1]}, b0[2] = {pairs[1][i], pairs[1][i + 1]};
    const uint32_t a1[2] = {pairs[0][i + 2], pairs[0][i + 3]},
                   b1[2] = {pairs[1][i + 2], pairs[1][i + 3]};
    multiply<format>(sums, a0, b0, v.x, v.y);
    multiply<format>(sums, a1, b1, v.z, v.w);
  }
}

// The code book and the signs of IQ2_XXS. A sign word holds bit j of the byte at 15 - and 31 - less
// j, as the pairs (j, j + 4) want them.
struct Book {
  uint4 entries[kBookEntries];
  uint32_t signs[128];
};

__device__ inline void fill_book(Book& book) {
  for (int e = threadIdx.x; e < kBookEntries; e += blockDim.x) {
    uint32_t pairs[4];
    for (int j = 0; j < 4; ++j) {
      const __half2 pair = __floats2half2_rn(static_cast<float>(book_value(e, j)),
                                             static_cast<float>(book_value(e, j + 4)));
      pairs[j] = as_bits(pair);
    }
    book.entries[e] = {pairs[0], pairs[1], pairs[2], pairs[3]};
  }
  for (int s = threadIdx.x; s < 128; s += blockDim.x) {
    const uint32_t byte = s | (__popc(s) & 1) << 7;  // the eighth makes their number even
    book.signs[s] = (byte & 15u) | (byte >> 4) << 16;
  }
  __syncthreads();
}

// Decodes and multiplies a chunk.
template <WeightFormat format>
__device__ __forceinline__ void take(float (&sums)[4], const Loaded<format>& w, const Input& x,
                                     const uint4* x_sums, const Book* book) {
  if constexpr (format == kBf16) {
#pragma unroll
    for (int u = 0; u < 8; ++u) {
      const uint4 &a = w.codes[0][u], &b = w.codes[1][u];
      const uint32_t pairs[2][4] = {{a.x, a.y, a.z, a.w}, {b.x, b.y, b.z, b.w}};
      multiply_pairs<format>(sums, pairs, x, u);
    }
  } else if constexpr (format == kFp8) {
#pragma unroll
    for (int group = 0; group < 2; ++group) {
      float part[4] = {};
#pragma unroll
      for (int i = 0; i < 8; ++i) {  // a word each
        uint32_t pairs[2][2];
        e4m3_pairs(word(w.codes[0][group * 2 + i / 4], i % 4), pairs[0]);
        e4m3_pairs(word(w.codes[1][group * 2 + i / 4], i % 4), pairs[1]);
        const uint4 v = x.piece(group * 4 + i / 2);
        multiply<format>(part, pairs[0], pairs[1], i % 2 ? v.z : v.x, i % 2 ? v.w : v.y);
      }
      const float scale = power_of_two(w.scales[0][0] >> (8 * group) & 0xFF, 0);
      scaled(sums, part, scale, scale);
    }
  } else if constexpr (format == kQ8_0) {
#pragma unroll
    for (int group = 0; group < 8; ++group) {
      uint32_t pairs[2][4];
#pragma unroll
      for (int h = 0; h < 2; ++h) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          uint32_t two[2];
          int8_pairs(word(w.codes[h][group / 2], group % 2 * 2 + i), two);
          pairs[h][2 * i] = two[0], pairs[h][2 * i + 1] = two[1];
        }
      }
      float part[4] = {};
      multiply_pairs<format>(part, pairs, x, group);
      const int shift = 16 * (group % 2);
      scaled(sums, part, half_float(w.scales[0][group / 2] >> shift),
             half_float(w.scales[1][group / 2] >> shift));
    }
  } else if constexpr (format == kMxfp4) {
#pragma unroll
    for (int group = 0; group < 8; ++group) {
      uint32_t pairs[2][4];
      e2m1_pairs(word(w.codes[0][group / 4], group % 4), pairs[0]);
      e2m1_pairs(word(w.codes[1][group / 4], group % 4), pairs[1]);
      float part[4] = {};
      multiply_pairs<format>(part, pairs, x, group);
      const int shift = 8 * (group % 4);
      scaled(sums, part, power_of_two(w.scales[0][group / 4] >> shift & 0xFF, 14),
             power_of_two(w.scales[1][group / 4] >> shift & 0xFF, 14));
    }
  } else if constexpr (format == kNvfp4 || format == kNvfp4Plain) {
    // Code times scale needs six bits: exact in f16 even before the sum. Scales are taken 2^7 up,
    // since codes are 2^14 down.
    uint32_t scales[2][4] = {};
    if constexpr (format == kNvfp4) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        uint32_t two[2];
        e4m3_pairs(w.scales[h][0], two);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          scales[h][i] = times(__byte_perm(two[i / 2], 0, i % 2 ? 0x3232 : 0x1010), both(0x5800));
        }
      }
    }
    float part[4] = {};
#pragma unroll
    for (int i = 0; i < 8; ++i) {  // a word each, two in a group
      uint32_t pairs[2][4];
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        e2m1_pairs(word(w.codes[h][i / 4], i % 4), pairs[h]);
        if constexpr (format == kNvfp4) {
#pragma unroll
          for (uint32_t& pair : pairs[h]) pair = times(pair, scales[h][i / 2]);
        }
      }
      multiply_pairs<format>(part, pairs, x, i);
    }
    constexpr float kLacking = format == kNvfp4 ? 0x1p7f : 0x1p14f;
    scaled(sums, part, kLacking, kLacking);
  } else if constexpr (format == kInt4) {
#pragma unroll
    for (int group = 0; group < 2; ++group) {
      float part[4] = {};
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        uint32_t pairs[2][4];
        int4_pairs(word(w.codes[0][group], i), pairs[0]);
        int4_pairs(word(w.codes[1][group], i), pairs[1]);
        multiply_pairs<format>(part, pairs, x, group * 4 + i);
      }
      scaled(sums, part, half_float(w.scales[0][0] >> (16 * group)),
             half_float(w.scales[1][0] >> (16 * group)));
    }
  } else if constexpr (format == kQ2K) {
    // Codes stay where they are in the word, as f16 subnormals q 4^i 2^-24; their scale, an integer
    // up to 15, makes up for the place, up to 2^-14.
    constexpr uint32_t kPlace[5] = {0x6400, 0x5C00, 0x5400, 0x4C00, 0x4400};  // 2^10, 2^8, ...
    float part[4] = {}, mins[4] = {};
#pragma unroll
    for (int group = 0; group < 4; ++group) {
      uint32_t pairs[2][8];
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const uint32_t scale = byte_twice(w.scales[h][0] & 0x0F0F0F0Fu, group);
#pragma unroll
        for (int odd = 0; odd < 2; ++odd) {
          const int i = group * 2 + odd, place = i < 5 ? i : i - 5;
          const uint32_t at_place = times(scale, both(kPlace[place]));
#pragma unroll
          for (int k = 0; k < 4; ++k) {
            const uint32_t codes = word(w.codes[h][0], k) >> (i < 5 ? 0 : 10);
            pairs[h][k * 2 + odd] = times(codes & (0x00030003u << (2 * place)), at_place);
          }
        }
      }
      multiply_pairs<format>(part, pairs, x, group * 2);
    }
    // The minima meet the sums of x over their groups, whose rounding is a second product.
    uint32_t minima[2][2];
    byte_pairs(w.scales[0][0] >> 4 & 0x0F0F0F0Fu, minima[0]);
    byte_pairs(w.scales[1][0] >> 4 & 0x0F0F0F0Fu, minima[1]);
    const uint4 s = __ldg(x_sums);
    multiply<format>(mins, minima[0], minima[1], s.x, s.y);
    multiply<format>(mins, minima[0], minima[1], s.z, s.w);
    scaled(sums, part, half_float(w.blocks[0]) * 0x1p14f, half_float(w.blocks[1]) * 0x1p14f);
    scaled(sums, mins, -half_float(w.blocks[0] >> 16), -half_float(w.blocks[1] >> 16));
  } else {
    float part[4] = {};
#pragma unroll
    for (int entry = 0; entry < 8; ++entry) {
      uint32_t pairs[2][4];
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const uint32_t indices = word(w.codes[h][0], entry / 4 * 2);
        const uint32_t signs = word(w.codes[h][0], entry / 4 * 2 + 1);
        const uint4 values = book->entries[indices >> (8 * (entry % 4)) & 0xFF];
        const uint32_t minus = book->signs[signs >> (7 * (entry % 4)) & 0x7F];
        // 2 s + 1 of the scale's four bits: values up to 43 x 31, exact.
        const uint32_t scale = byte_twice((signs >> 27 | 1u) & 0x1F, 0);
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const uint32_t signed_pair = word(values, j) ^ ((minus << (15 - j)) & 0x80008000u);
          pairs[h][j] = times(signed_pair, scale);
        }
      }
      multiply_pairs<format>(part, pairs, x, entry);
    }
    scaled(sums, part, half_float(w.blocks[0]) * 0.125f, half_float(w.blocks[1]) * 0.125f);
  }
}

// The same loads, folded into one word that is all but never stored.
template <WeightFormat format>
__device__ __forceinline__ uint32_t fold(const Loaded<format>& w, const Input& x,
                                         const uint4* x_sums) {
  uint32_t folded = 0;
  const auto add = [&](const uint4& v) { folded ^= v.x ^ v.y ^ v.z ^ v.w; };
#pragma unroll
  for (int h = 0; h < 2; ++h) {
#pragma unroll
    for (const uint4& codes : w.codes[h]) add(codes);
    if constexpr (scale_bytes(format) > 0) {
#pragma unroll
      for (const uint32_t s : w.scales[h]) folded ^= s;
    }
    if constexpr (block_bytes(format) > 0) folded ^= w.blocks[h];
  }
  if constexpr (format == kFp8) folded ^= w.scales[0][0];
#pragma unroll
  for (int i = 0; i < kPieces; ++i) add(x.piece(i));
  if constexpr (format == kQ2K) add(__ldg(x_sums));
  return folded;
}

}  // namespace ds4::probes::gemv

// What products of a few activation rows share: x of a warp's columns, in shared memory or where
// it was arranged.
#pragma once

#include "engine/ops/cuda/arrange.cuh"
#include "engine/ops/cuda/tiles.cuh"

namespace ds4::ops::cuda {

template <class Feed>
constexpr int kGroupUnits = 4 * Feed::kXUnits;  // of all four lanes, in uint4
// Neighbouring columns begin on other banks.
template <class Feed>
__host__ __device__ constexpr int column_units(int groups) {
  return groups * kGroupUnits<Feed> + 4;
}

// Where a lane finds x for its column, and the scales of its two result columns. `here`: in shared
// memory, units of all lanes side by side; else in global memory, where arranged rows hold a lane's
// units side by side and BF16 rows are in natural order.
template <class Feed, bool here>
struct Activations {
  static constexpr bool kNatural = Feed::kScales == Scales::kNone;
  static constexpr int kUnitStep = here || kNatural ? 4 : 1;  // in uint4, between a lane's units

  // In uint4 and in floats, from the beginning of x and of the scales.
  uint32_t x = 0, col0 = 0, col1 = 0;

  template <class RowOf>
  __device__ void locate(int groups, int lane, const RowOf& row_of) {
    const int t = lane % 4;
    const int stride = here ? column_units<Feed>(groups) : groups * kGroupUnits<Feed>;
    x = static_cast<uint32_t>(row_of(lane / 4) * stride + (kUnitStep == 4 ? t : t * Feed::kXUnits));
    if constexpr (Feed::kXScale) {
      col0 = static_cast<uint32_t>(row_of(2 * t) * groups);
      col1 = static_cast<uint32_t>(row_of(2 * t + 1) * groups);
    }
  }
  __device__ void multiply(const uint4* all, const float* scales,
                           const typename Feed::Fragments& weights, uint32_t row0, uint32_t row1,
                           int group, float (&acc)[4]) const {
    uint4 units[Feed::kXUnits];
    const uint4* at = all + x + static_cast<uint32_t>(group * kGroupUnits<Feed>);
#pragma unroll
    for (int u = 0; u < Feed::kXUnits; ++u) {
      units[u] = here ? at[u * kUnitStep] : __ldg(at + u * kUnitStep);
    }
    GroupScales s{row0, row1, 1.0f, 1.0f};
    if constexpr (Feed::kXScale) {
      s.col0 = here ? scales[col0 + group] : __ldg(scales + col0 + group);
      s.col1 = here ? scales[col1 + group] : __ldg(scales + col1 + group);
    }
    Feed::multiply(weights, units, s, acc);
  }
};

// A lane's elements of a group of a column where the feed looks for them in shared memory.
template <class Feed>
__device__ __forceinline__ void put_elements(const uint2& elements, int groups, int column,
                                             int group, uint4* x) {
  constexpr Arrange kKind = kArrangeOf<Feed::kFeed>;
  constexpr int kBytes = kArrangedBytes<kKind>;
  constexpr int kInUnit = 16 / kBytes;  // elements
  const FragmentPlace place = place_in_group<kKind>(threadIdx.x % 32);
  uint4* to = x + column * column_units<Feed>(groups) + group * kGroupUnits<Feed> +
              place.p / kInUnit * 4 + place.t;
  auto* element = reinterpret_cast<unsigned char*>(to) + place.p % kInUnit * kBytes;
  if constexpr (kKind == Arrange::kE4m3) {
    *reinterpret_cast<uint32_t*>(element) = elements.x;
  } else {
    *reinterpret_cast<uint2*>(element) = elements;
  }
}
// Puts a group of a column into shared memory in the feed's order; the whole warp.
template <class Feed>
__device__ void put_group(const float (&v)[4], int groups, int column, int group, uint4* x,
                          float* scales) {
  const int lane = threadIdx.x % 32;
  uint2 elements;
  const float scale = arrange_four<kArrangeOf<Feed::kFeed>>(lane, v, elements);
  put_elements<Feed>(elements, groups, column, group, x);
  if (lane == 0) scales[column * groups + group] = scale;
}

// Columns of codes into shared memory in the orders of two feeds; some warps.
template <class First, class Second>
__device__ __forceinline__ void put_codes(const uint32_t* codes, int columns, int groups, int warp,
                                          int warps, uint4* first, uint4* second) {
  constexpr int kStep = 4;  // groups whose loads go together
  const int lane = threadIdx.x % 32;
  const int all = columns * groups;
#pragma unroll 1
  for (int begin = warp; begin < all; begin += kStep * warps) {
    uint32_t own[kStep];
#pragma unroll
    for (int i = 0; i < kStep; ++i) {
      own[i] = __ldcg(codes + min(begin + i * warps, all - 1) * 32 + lane);
    }
#pragma unroll
    for (int i = 0; i < kStep; ++i) {
      const int at = begin + i * warps;
      if (at >= all) break;
      const int column = at / groups;
      const int group = at - column * groups;
      put_elements<First>(code_elements<kArrangeOf<First::kFeed>>(lane, own[i]), groups, column,
                          group, first);
      put_elements<Second>(code_elements<kArrangeOf<Second::kFeed>>(lane, own[i]), groups, column,
                           group, second);
    }
  }
}

}  // namespace ds4::ops::cuda

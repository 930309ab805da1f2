// The indexer (model.md 3.6): scores of all visible keys per query, then the exact best ones in
// ascending order, ties to the lowest row. Selection counts digits of the scores from the top; the
// counts are integers, so it is deterministic.
#include "engine/ops/cuda/launch.cuh"
#include "engine/ops/cuda/mma.cuh"
#include "engine/ops/cuda/select.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kPlainThreads = 128;
constexpr int kManyQueries = 16;   // that a block meets with its keys
constexpr int kFewSelections = 8;  // up to these, more but smaller blocks
constexpr int kQueryPad = 32;      // puts neighbouring heads on other banks

// Keys of a query's segment as fragments of 16 * kTiles rows, zeros from `most` on. `coded`: they
// are FP4 and fill all dims. `early`: past L1.
template <int kDim>
__device__ bool has_coded_keys(const Selection& s) {
  return s.keys.shape.format == RowShape::kFp4 && s.dim == kDim && s.keys.shape.bytes % 4 == 0;
}
template <int kDim, int kTiles, bool early>
__device__ __forceinline__ void load_keys(const Selection& s, int segment, bool coded, int64_t key,
                                          int64_t most, uint4 (*keys)[2][kDim / 32]) {
  constexpr int kChunks = kDim / 32;
  const int g = threadIdx.x % 32 / 4;
  const int t = threadIdx.x % 4;
  if (coded) {
    StoredKey stored[kTiles][2][kChunks];
#pragma unroll
    for (int i = 0; i < 2 * kTiles * kChunks; ++i) {
      const int tile = i / (2 * kChunks), half = i / kChunks % 2, k = i % kChunks;
      stored[tile][half][k] = load_key<early>(s, s.keys.data[segment],
                                              key + 16 * tile + 8 * half + g, most, 32 * k + 8 * t);
    }
#pragma unroll
    for (int i = 0; i < 2 * kTiles * kChunks; ++i) {
      const int tile = i / (2 * kChunks), half = i / kChunks % 2, k = i % kChunks;
      keys[tile][half][k] = decode_key(stored[tile][half][k]);
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < 2 * kTiles * kChunks; ++i) {
    const int tile = i / (2 * kChunks), half = i / kChunks % 2, k = i % kChunks;
    const int64_t index = key + 16 * tile + 8 * half + g;
    keys[tile][half][k] =
        index < most ? row_octet(s.keys.shape, row_at(s.keys, segment, index), 32 * k + 8 * t)
                     : uint4{0, 0, 0, 0};
  }
}

// Adds the shares of eight heads, whose queries and weights lie in shared memory.
template <int kDim, int kTiles>
__device__ __forceinline__ void add_eight(const uint4 (*keys)[2][kDim / 32], const Bf16* q,
                                          const float* weights, float (&sum)[kTiles][2]) {
  const int g = threadIdx.x % 32 / 4;
  const int t = threadIdx.x % 4;
  float dot[kTiles][4] = {};
#pragma unroll
  for (int k = 0; k < kDim / 32; ++k) {
    const uint4 b = *reinterpret_cast<const uint4*>(q + g * (kDim + kQueryPad) + 32 * k + 8 * t);
#pragma unroll
    for (int i = 0; i < kTiles; ++i) {
      const uint4& top = keys[i][0][k];
      const uint4& low = keys[i][1][k];
      mma_bf16(dot[i], top.x, low.x, top.y, low.y, b.x, b.y);
      mma_bf16(dot[i], top.z, low.z, top.w, low.w, b.z, b.w);
    }
  }
  const __nv_bfloat162 w = __floats2bfloat162_rn(weights[2 * t], weights[2 * t + 1]);  // exact
#pragma unroll
  for (int i = 0; i < kTiles; ++i) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      add_heads(dot[i][2 * half], dot[i][2 * half + 1], w, sum[i][half]);
    }
  }
}

template <int kTiles>
__device__ __forceinline__ void store_scores(const Selection& s, int row, int64_t key, int64_t seen,
                                             const float (&sum)[kTiles][2]) {
  const int g = threadIdx.x % 32 / 4;
  Bf16* out = static_cast<Bf16*>(s.scores) + int64_t{row - s.places.row[0]} * s.stride;
#pragma unroll
  for (int i = 0; i < kTiles; ++i) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float total = sum[i][half];
      total += __shfl_xor_sync(0xffffffffu, total, 1);
      total += __shfl_xor_sync(0xffffffffu, total, 2);
      const int64_t at = key + 16 * i + 8 * half + g;
      if (threadIdx.x % 4 == 0 && at < seen) out[at] = put<Bf16>(total);
    }
  }
}

// Many queries: a warp holds 16 * kTiles keys as fragments and meets the heads of one query after
// the other; queries pass through shared memory, the next one while this one is multiplied. They
// fill all heads and dims.
template <int kDim, int kTiles, int kWarps, int kQueries>
__global__ void __launch_bounds__(kWarps * 32)
    many_scores_kernel(const __grid_constant__ Selection s) {
  wait_for_inputs();
  extern __shared__ __align__(16) unsigned char memory[];
  constexpr int kStride = kDim + kQueryPad;
  const int segment = blockIdx.z;
  const int begin = s.places.row[segment] + blockIdx.y * kQueries;
  const int end = min(begin + kQueries, s.places.row[segment + 1]);
  if (begin >= end) return;
  const int64_t first_key = int64_t{blockIdx.x} * kWarps * 16 * kTiles;
  const int64_t key = first_key + threadIdx.x / 32 * 16 * kTiles;
  const int64_t most = visible(s, end - 1);
  if (first_key >= most || most <= s.top) return;

  uint4 keys[kTiles][2][kDim / 32];
  load_keys<kDim, kTiles, false>(s, segment, has_coded_keys<kDim>(s), key, most, keys);
  const int stage_bytes = s.heads * (kStride * 2 + 4);
  const auto staged_query = [&](int row) {
    return reinterpret_cast<Bf16*>(memory + (row - begin) % 2 * stage_bytes);
  };
  const auto stage = [&](int row) {
    const Bf16* from = static_cast<const Bf16*>(s.iq) + int64_t{row} * s.heads * s.dim;
    Bf16* to = staged_query(row);
    for (int i = threadIdx.x; i < s.heads * kDim / 8; i += kWarps * 32) {
      copy_async<16>(to + i / (kDim / 8) * kStride + i % (kDim / 8) * 8, from + i * 8);
    }
    auto* weights = reinterpret_cast<float*>(to + s.heads * kStride);
    for (int i = threadIdx.x; i < s.heads; i += kWarps * 32) weights[i] = head_weight(s, row, i);
    commit_async();
  };
  stage(begin);
  for (int row = begin; row < end; ++row) {
    if (row + 1 < end) {
      stage(row + 1);
      wait_async<1>();
    } else {
      wait_async<0>();
    }
    __syncthreads();
    const int64_t seen = visible(s, row);
    if (seen > s.top && seen > key) {
      const Bf16* q = staged_query(row);
      const auto* weights = reinterpret_cast<const float*>(q + s.heads * kStride);
      float sum[kTiles][2] = {};
#pragma unroll 1
      for (int head = 0; head < s.heads; head += 8) {
        add_eight<kDim, kTiles>(keys, q + head * kStride, weights + head, sum);
      }
      store_scores<kTiles>(s, row, key, seen, sum);
    }
    __syncthreads();  // the stage may be filled again
  }
}

// A block per kFewKeys keys and query, a warp per 16 keys, which it holds as fragments. Keys that
// were there before the kernel in front are fetched while it runs; the query passes through shared
// memory. Heads and dims that are not there are zeros.
constexpr int kFewKeys = 64;
constexpr int kFewThreads = kFewKeys / 16 * 32;
template <int kDim>
constexpr int few_shared(int heads) {
  return (heads + 7) / 8 * 8 * ((kDim + kQueryPad) * 2 + 4);
}
template <int kDim>
__global__ void __launch_bounds__(kFewThreads)
    few_scores_kernel(const __grid_constant__ Selection s) {
  extern __shared__ __align__(16) unsigned char memory[];
  constexpr int kStride = kDim + kQueryPad;
  const int segment = blockIdx.z;
  const int row = s.places.row[segment] + static_cast<int>(blockIdx.y);
  const bool there = row < s.places.row[segment + 1];
  const int64_t seen = there ? visible(s, row) : 0;  // positions were there before the step
  const int64_t first_key = int64_t{blockIdx.x} * kFewKeys;
  const bool works = first_key < seen && seen > s.top;
  const bool coded = has_coded_keys<kDim>(s);
  const bool early = works && coded && s.settled;
  if (!early) wait_for_inputs();
  if (!works) return;

  const int64_t key = first_key + threadIdx.x / 32 * 16;
  uint4 keys[2][kDim / 32];
  load_keys<kDim, 1, true>(s, segment, coded, key, seen, &keys);
  if (early) wait_for_inputs();

  const int heads = (s.heads + 7) / 8 * 8;
  auto* q = reinterpret_cast<Bf16*>(memory);  // [heads][kStride]
  auto* weights = reinterpret_cast<float*>(q + heads * kStride);
  const auto* from = static_cast<const Bf16*>(s.iq) + int64_t{row} * s.heads * s.dim;
  for (int i = threadIdx.x; i < heads * kDim / 8; i += kFewThreads) {
    const int head = i / (kDim / 8);
    const int d = i % (kDim / 8) * 8;
    Bf16* to = q + head * kStride + d;
    if (head < s.heads && d < s.dim) {
      copy_async<16>(to, from + head * s.dim + d);
    } else {
      *reinterpret_cast<uint4*>(to) = uint4{0, 0, 0, 0};
    }
  }
  commit_async();
  for (int i = threadIdx.x; i < heads; i += kFewThreads) weights[i] = head_weight(s, row, i);
  wait_async<0>();
  __syncthreads();
  if (seen <= key) return;
  float sum[1][2] = {};
#pragma unroll 4
  for (int head = 0; head < heads; head += 8) {
    add_eight<kDim, 1>(&keys, q + head * kStride, weights + head, sum);
  }
  store_scores<1>(s, row, key, seen, sum);
}

// The same for f32 values: a thread per key.
__global__ void plain_scores_kernel(const __grid_constant__ Selection s) {
  wait_for_inputs();
  const int row = s.places.row[0] + blockIdx.y;
  const int64_t key = int64_t{blockIdx.x} * kPlainThreads + threadIdx.x;
  const int64_t seen = visible(s, row);
  if (seen <= s.top || key >= seen) return;
  const uint8_t* from = row_at(s.keys, place_of(s.places, row).segment, key);
  const float* q = static_cast<const float*>(s.iq) + int64_t{row} * s.heads * s.dim;
  const float* projected = static_cast<const float*>(s.projected) + int64_t{row} * s.heads;
  float sum = 0;
  for (int head = 0; head < s.heads; ++head) {
    float dot = 0;
    for (int d = 0; d < s.dim; ++d) {
      dot = fmaf(q[int64_t{head} * s.dim + d], row_value(s.keys.shape, from, d), dot);
    }
    sum += fmaxf(dot, 0.0f) * (projected[head] * s.scale);
  }
  static_cast<float*>(s.scores)[int64_t{row - s.places.row[0]} * s.stride + key] = sum;
}

template <class V>
inline constexpr int kOrderBits = 8 * sizeof(V);

constexpr int kDigitBits = 11;
constexpr int kDigits = 1 << kDigitBits;

// The first lane at which the sum of `own` from lane 0 on reaches `need`, which loses the lanes
// before it.
__device__ int find_lane(int own, int& need) {
  const int lane = threadIdx.x % 32;
  int up_to = own;
  for (int d = 1; d < 32; d *= 2) {
    const int other = __shfl_up_sync(0xffffffffu, up_to, d);
    if (lane >= d) up_to += other;
  }
  const int found = __ffs(__ballot_sync(0xffffffffu, up_to >= need)) - 1;
  need -= __shfl_sync(0xffffffffu, up_to - own, found);
  return found;
}

// The largest digit at which the count from the top reaches `need`; `need` loses what lies above.
// One warp.
__device__ int find_digit(const int* counts, int& need) {
  constexpr int kOwn = kDigits / 32;  // digits of a lane, the largest ones lane 0's
  const int lane = threadIdx.x % 32;
  const auto count = [&](int from_top) { return counts[kDigits - 1 - from_top]; };
  int own = 0;
#pragma unroll 8
  for (int i = 0; i < kOwn; ++i) own += count(kOwn * lane + (i + lane) % kOwn);  // on other banks
  const int base = kOwn * find_lane(own, need);
  static_assert(kOwn == 64);
  const int first = count(base + 2 * lane);
  const int pair = base + 2 * find_lane(first + count(base + 2 * lane + 1), need);
  const int above = count(pair);
  if (above >= need) return kDigits - 1 - pair;
  need -= above;
  return kDigits - 2 - pair;
}

// Calls use(order) for all scores before `end`, 16 bytes of them at a time, four times under way.
template <int kThreads, class V, class Use>
__device__ void each_score(const V* scores, int64_t end, const Use& use) {
  constexpr int kIn = 16 / sizeof(V);
  constexpr int64_t kStep = int64_t{kIn} * kThreads;
  const int64_t first = int64_t{kIn} * threadIdx.x;
  for (int64_t begin = first; begin < end; begin += 4 * kStep) {
    uint4 v[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int64_t at = begin + i * kStep;
      v[i] = *reinterpret_cast<const uint4*>(scores + (at < end ? at : first));
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int64_t at = begin + i * kStep;
      const auto* score = reinterpret_cast<const V*>(&v[i]);
#pragma unroll
      for (int e = 0; e < kIn; ++e) {
        if (at + e < end) use(order_of(score[e]));
      }
    }
  }
}

// A block per query.
template <int kThreads, class V>
__global__ void __launch_bounds__(kThreads) select_kernel(const __grid_constant__ Selection s) {
  wait_for_inputs();
  constexpr int kWarps = kThreads / 32;
  __shared__ int counts[kDigits];
  __shared__ uint32_t prefix;
  __shared__ int need;
  __shared__ int warp_above[kWarps], warp_equal[kWarps];
  const int row = s.places.row[0] + blockIdx.x;
  const int64_t seen = visible(s, row);
  int32_t* out = s.selected + int64_t{row} * s.top;
  if (seen <= s.top) {  // all of them, whatever their scores
    for (int i = threadIdx.x; i < s.top; i += kThreads) out[i] = i < seen ? i : -1;
    return;
  }
  const V* scores = static_cast<const V*>(s.scores) + int64_t{blockIdx.x} * s.stride;
  if (threadIdx.x == 0) {
    prefix = 0;
    need = s.top;
  }
  for (int left = kOrderBits<V>; left > 0; left -= kDigitBits) {
    const int shift = max(left - kDigitBits, 0);
    for (int i = threadIdx.x; i < kDigits; i += kThreads) counts[i] = 0;
    __syncthreads();
    const uint32_t above = prefix;
    each_score<kThreads>(scores, seen, [&](uint32_t order) {
      if (left == kOrderBits<V> || order >> left == above) {
        atomicAdd(&counts[order >> shift & ((1u << (left - shift)) - 1)], 1);
      }
    });
    __syncthreads();
    if (threadIdx.x < 32) {
      int missing = need;
      const int digit = find_digit(counts, missing);
      __syncwarp();
      if (threadIdx.x == 0) {
        prefix = above << (left - shift) | static_cast<uint32_t>(digit);
        need = missing;
      }
    }
    __syncthreads();
  }
  // Every row above the threshold and the first `need` rows at it, in order: each warp counts its
  // part of the rows, then writes behind the warps before it.
  const uint32_t threshold = prefix;
  const int equals = need;
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int64_t part = (seen + kThreads - 1) / kThreads * 32;
  const int64_t begin = warp * part;
  const int64_t end = begin + part < seen ? begin + part : seen;
  constexpr int kAhead = 4;
  const auto each_32 = [&](const auto& use) {
    for (int64_t first = begin; first < end; first += 32 * kAhead) {
      V score[kAhead];
#pragma unroll
      for (int i = 0; i < kAhead; ++i) {
        const int64_t at = first + 32 * i + lane;
        score[i] = scores[at < end ? at : begin];
      }
#pragma unroll
      for (int i = 0; i < kAhead; ++i) {
        const int64_t at = first + 32 * i + lane;
        const uint32_t order = order_of(score[i]);
        use(at, __ballot_sync(0xffffffffu, at < end && order > threshold),
            __ballot_sync(0xffffffffu, at < end && order == threshold));
      }
    }
  };
  int above = 0;
  int equal = 0;
  each_32([&](int64_t, uint32_t is_above, uint32_t is_equal) {
    above += __popc(is_above);
    equal += __popc(is_equal);
  });
  if (lane == 0) {
    warp_above[warp] = above;
    warp_equal[warp] = equal;
  }
  __syncthreads();
  above = 0;
  equal = 0;
  for (int w = 0; w < warp; ++w) {
    above += warp_above[w];
    equal += warp_equal[w];
  }
  each_32([&](int64_t at, uint32_t is_above, uint32_t is_equal) {
    const uint32_t before = (1u << lane) - 1;
    const int my_above = above + __popc(is_above & before);
    const int my_equal = equal + __popc(is_equal & before);
    if ((is_above >> lane & 1u) || ((is_equal >> lane & 1u) && my_equal < equals)) {
      out[my_above + min(my_equal, equals)] = static_cast<int32_t>(at);
    }
    above += __popc(is_above);
    equal += __popc(is_equal);
  });
}

template <class V>
void select(const Launch& at, const Selection& s) {
  const auto rows = static_cast<unsigned>(s.places.rows());
  if (rows <= kFewSelections) {
    start(at, select_kernel<1024, V>, rows, 1024, 0, s);
  } else {
    start(at, select_kernel<512, V>, rows, 512, 0, s);
  }
}

template <int kDim>
void scores(const Launch& at, const Selection& s, int most) {
  const auto grid = [&](int keys, int queries) {
    return dim3(blocks_for(s.stride, keys), blocks_for(most, queries),
                static_cast<unsigned>(s.places.count));
  };
  const size_t bytes = size_t{2} * static_cast<size_t>(s.heads) * ((kDim + kQueryPad) * 2 + 4);
  if (most <= kFewSelections || s.dim != kDim || s.heads % 8 || bytes > size_t{48} << 10) {
    const auto shared = static_cast<size_t>(few_shared<kDim>(s.heads));
    allow_shared(few_scores_kernel<kDim>, shared);
    start(at, few_scores_kernel<kDim>, grid(kFewKeys, 1), kFewThreads, shared, s);
  } else {
    start(at, many_scores_kernel<kDim, 2, 8, kManyQueries>, grid(256, kManyQueries), 256, bytes, s);
  }
}

}  // namespace

void select_rows(Launch at, const Selection& s) {
  int most = 0;
  for (int i = 0; i < s.places.count; ++i) {
    const int n = s.places.row[i + 1] - s.places.row[i];
    most = n > most ? n : most;
  }
  const auto rows = static_cast<unsigned>(s.places.rows());
  if (s.stride > s.top) {
    if (!at.strict) {
      start(at, plain_scores_kernel, dim3(blocks_for(s.stride, kPlainThreads), rows), kPlainThreads,
            0, s);
    } else if (s.arranged) {
      group_scores(at, s, most);
    } else if (s.dim <= 32) {
      scores<32>(at, s, most);
    } else if (s.dim <= 64) {
      scores<64>(at, s, most);
    } else {
      scores<128>(at, s, most);
    }
  }
  if (at.strict && rows <= kFewSelections && selects_held(at, s)) return select_held(at, s);
  at.strict ? select<Bf16>(at, s) : select<float>(at, s);
}

}  // namespace ds4::ops::cuda

// Attention of a chunk of one sequence (prefill) at the real model's shape, on GPUs whose blocks
// can have 200 KiB of shared memory: all rows that the chunk may read become BF16 once, then a
// block per query meets 64 heads with its rows twice: for the scores, which wait in global memory
// for their maximum, and for the weighted sum. Every sum has the order of attend_few.cu.
#include <algorithm>

#include "engine/ops/cuda/attend.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * 32;
constexpr int kHeads = 64;  // of a block
constexpr int kOwnHeads = kHeads / kWarps;
constexpr int kDim = 512;
constexpr int kOctets = kDim / 8;
constexpr int kKeys = 64;                  // of a tile
constexpr int kBuffers = 3;                // tiles: one at work, the others on their way
constexpr int kPartTiles = kKeys / 2 / 8;  // a warp scores half a tile's keys for 16 heads
constexpr int kWarpDims = kDim / kWarps;   // and sums up so many values for all heads
constexpr int kWeightStride = kKeys + 8;

struct Room {
  uint4 tiles[kBuffers][kKeys][kOctets];  // octets of a row where octet_at() says
  Bf16 weights[kHeads][kWeightStride];
  float tops[2][kHeads];  // of the halves of all tiles
  float sums[kHeads];
  int32_t chosen[1];  // top of them, where there are any
};

// Neither products (two rows by four octets) nor transposed loads (eight rows by one) meet in a
// bank.
__device__ __forceinline__ int octet_at(int row, int octet) {
  return octet ^ ((row & 1) << 2 | (row >> 1 & 3));
}

// What a chunk reads, as BF16 [., kDim], and where scores wait: kHeads times `stride` a block.
struct ChunkRows {
  Bf16* raw;  // from position first_raw on
  int64_t first_raw;
  Bf16* compressed;
  float* scores;
};

// A thread per octet of a row: raw ones, then compressed ones.
__global__ void __launch_bounds__(kThreads)
    widen_rows_kernel(const __grid_constant__ Attention a, const ChunkRows rows, int n_raw, int n) {
  wait_for_inputs();
  const int row = static_cast<int>(blockIdx.x) * (kThreads / kOctets) + threadIdx.x / kOctets;
  const int octet = threadIdx.x % kOctets;
  if (row >= n) return;
  const bool is_raw = row < n_raw;
  const uint8_t* from = is_raw ? row_at(a.raw, 0, rows.first_raw + row)
                               : a.compressed.data[0] + int64_t{row - n_raw} * a.raw.shape.bytes;
  Bf16* to =
      is_raw ? rows.raw + int64_t{row} * kDim : rows.compressed + int64_t{row - n_raw} * kDim;
  reinterpret_cast<uint4*>(to)[octet] =
      decode_octet(a.raw.shape, load_octet(a.raw.shape, from, 8 * octet), 8 * octet);
}

// A query's rows, 64 at a time.
struct Reader {
  const Keys& keys;
  const ChunkRows& rows;
  const int32_t* chosen;  // null: all

  __device__ bool exists(int key) const {
    return key < keys.n && (chosen == nullptr || key < keys.n_raw || chosen[key - keys.n_raw] >= 0);
  }
  // Each warp every eighth row; rows that are not there become zeros.
  __device__ void fetch(int begin, uint4 (&tile)[kKeys][kOctets]) const {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < kKeys / kWarps; ++i) {
      const int r = threadIdx.x / 32 + i * kWarps;
      const int key = begin + r;
      const int index = key - keys.n_raw;
      const Bf16* from = rows.raw;
      bool there = key < keys.n;
      if (index < 0) {
        from += (keys.first_raw - rows.first_raw + key) * kDim;
      } else if (there) {
        const int row = chosen != nullptr ? chosen[index] : index;
        there = row >= 0;
        from = rows.compressed + int64_t{max(row, 0)} * kDim;
      }
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int octet = lane + 32 * half;
        copy_or_clear(&tile[r][octet_at(r, octet)], from + 8 * octet, there);
      }
    }
  }
};

__global__ void __launch_bounds__(kThreads, 1)
    attend_chunk_kernel(const __grid_constant__ Attention a,
                        const __grid_constant__ ChunkRows rows) {
  wait_for_inputs();
  extern __shared__ __align__(1024) unsigned char memory[];
  auto& room = *reinterpret_cast<Room*>(memory);
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int g = lane / 4;
  const int t = lane % 4;
  const int queries = a.places.row[1] - a.places.row[0];
  const int items = queries * (a.heads / kHeads);
  float* scores = rows.scores + int64_t{blockIdx.x} * kHeads * a.stride;
#pragma unroll 1
  for (int item = blockIdx.x; item < items; item += gridDim.x) {
    const int row = a.places.row[0] + item % queries;
    const int first_head = item / queries * kHeads;
    const Keys keys = keys_of(a, row);
    if (keys.chosen != nullptr) {
      for (int i = threadIdx.x; i < keys.n - keys.n_raw; i += kThreads) {
        room.chosen[i] = keys.chosen[i];
      }
    }
    __syncthreads();  // also: the item before is done
    const Reader reader{keys, rows, keys.chosen != nullptr ? room.chosen : nullptr};
    // The tiles of both rounds, one after the other.
    const int tiles = (keys.n + kKeys - 1) / kKeys;
    int fetched = 0;
    const auto fetch_next = [&] {
      if (fetched < 2 * tiles) {
        reader.fetch((fetched < tiles ? fetched : fetched - tiles) * kKeys,
                     room.tiles[fetched % kBuffers]);
      }
      ++fetched;
      commit_async();
    };
#pragma unroll
    for (int i = 0; i < kBuffers - 1; ++i) fetch_next();
    // Begins the work on a tile: it is there, the one before is read, another one is on its way.
    const auto next_tile = [&](int step) -> const uint4(&)[kKeys][kOctets] {
      wait_async<kBuffers - 2>();
      __syncthreads();
      fetch_next();
      return room.tiles[step % kBuffers];
    };

    // Scores: 16 heads by half of the keys.
    {
      const int head = warp % 4 * 16 + g;
      const int first_key = warp / 4 * 32;
      uint4 query[kOctets / 4][2];
      const auto* q = static_cast<const Bf16*>(a.q) +
                      (int64_t{row} * a.heads + first_head + head) * kDim + 8 * t;
#pragma unroll
      for (int i = 0; i < kOctets / 4; ++i) {
        query[i][0] = __ldg(reinterpret_cast<const uint4*>(q + 32 * i));
        query[i][1] = __ldg(reinterpret_cast<const uint4*>(q + 8 * kDim + 32 * i));
      }
      float top[2] = {-INFINITY, -INFINITY};
      float* to = scores + head * a.stride + first_key + 2 * t;
#pragma unroll 1
      for (int step = 0; step < tiles; ++step) {
        const auto& tile = next_tile(step);
        float s[kPartTiles][4] = {};
        // octet_at(g, 4 i + t), in which only the lowest bit of i is mixed with g.
        const uint4* key = &tile[first_key + g][octet_at(g, t) & 3];
        const int even = octet_at(g, t) & 4;
#pragma unroll
        for (int i = 0; i < kOctets / 4; ++i) {
          const uint4& a0 = query[i][0];
          const uint4& a1 = query[i][1];
          const uint4* at = key + (i % 2 ? 4 - even : even) + i / 2 * 8;
#pragma unroll
          for (int j = 0; j < kPartTiles; ++j) {
            const uint4 b = at[8 * j * kOctets];
            mma_bf16(s[j], a0.x, a1.x, a0.y, a1.y, b.x, b.y);
            mma_bf16(s[j], a0.z, a1.z, a0.w, a1.w, b.z, b.w);
          }
        }
        const int begin = step * kKeys + first_key + 2 * t;
#pragma unroll
        for (int j = 0; j < kPartTiles; ++j) {
          const bool low = reader.exists(begin + 8 * j);
          const bool high = reader.exists(begin + 8 * j + 1);
#pragma unroll
          for (int half = 0; half < 2; ++half) {
            const float2 pair{low ? s[j][2 * half] * a.scale : -INFINITY,
                              high ? s[j][2 * half + 1] * a.scale : -INFINITY};
            top[half] = fmaxf(top[half], fmaxf(pair.x, pair.y));
            *reinterpret_cast<float2*>(to + 8 * half * a.stride + step * kKeys + 8 * j) = pair;
          }
        }
      }
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        top[half] = fmaxf(top[half], __shfl_xor_sync(0xffffffffu, top[half], 1));
        top[half] = fmaxf(top[half], __shfl_xor_sync(0xffffffffu, top[half], 2));
        if (t == 0) room.tops[warp / 4][head + 8 * half] = top[half];
      }
    }
    __syncthreads();  // all scores and maxima are there

    // Weights of eight heads, then the sums of 64 values for all heads.
    float acc[kHeads / 16][kWarpDims / 8][4] = {};
    float sum[kOwnHeads] = {};
    float score[kOwnHeads][2];
    const float* from = scores + warp * kOwnHeads * a.stride + lane;
    const auto load_scores = [&](int begin) {
#pragma unroll
      for (int i = 0; i < kOwnHeads; ++i) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          score[i][half] = __ldcg(from + i * a.stride + begin + 32 * half);
        }
      }
    };
    load_scores(0);
#pragma unroll 1
    for (int step = 0; step < tiles; ++step) {
      const auto& tile = next_tile(tiles + step);  // also: weights of the tile before are read
#pragma unroll
      for (int i = 0; i < kOwnHeads; ++i) {
        const int head = warp * kOwnHeads + i;
        const float top = fmaxf(room.tops[0][head], room.tops[1][head]);
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const float e = expf(score[i][half] - top);  // 0 behind the last row
          sum[i] += e;
          room.weights[head][lane + 32 * half] = __float2bfloat16_rn(e);
        }
      }
      __syncthreads();
      if (step + 1 < tiles) load_scores((step + 1) * kKeys);
#pragma unroll
      for (int k = 0; k < kKeys; k += 16) {
        uint4 w[kHeads / 16];
#pragma unroll
        for (int m = 0; m < kHeads / 16; ++m) {
          w[m] = load_blocks(&room.weights[16 * m + lane % 16][k + lane / 16 * 8]);
        }
#pragma unroll
        for (int j = 0; j < kWarpDims / 8; j += 2) {
          const int octet = warp * (kWarpDims / 8) + j + lane / 16;
          const uint4 b = load_transposed(&tile[k + lane % 16][octet_at(lane % 16, octet)]);
#pragma unroll
          for (int m = 0; m < kHeads / 16; ++m) {
            mma_bf16(acc[m][j], w[m].x, w[m].y, w[m].z, w[m].w, b.x, b.y);
            mma_bf16(acc[m][j + 1], w[m].x, w[m].y, w[m].z, w[m].w, b.z, b.w);
          }
        }
      }
    }
#pragma unroll
    for (int i = 0; i < kOwnHeads; ++i) {
      const int head = warp * kOwnHeads + i;
      const float total = warp_sum(sum[i]);
      const float top = fmaxf(room.tops[0][head], room.tops[1][head]);
      if (lane == 0) room.sums[head] = total + expf(a.sinks[first_head + head] - top);
    }
    __syncthreads();
#pragma unroll
    for (int m = 0; m < kHeads / 16; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int head = 16 * m + g + 8 * half;
        const float total = room.sums[head];
#pragma unroll
        for (int j = 0; j < kWarpDims / 8; ++j) {
          store_pair<Bf16>(a, row, first_head + head, warp * kWarpDims + 8 * j + 2 * t, total,
                           acc[m][j][2 * half], acc[m][j][2 * half + 1]);
        }
      }
    }
  }
}

size_t shared_bytes(const Attention& a) {
  return sizeof(Room) + (a.selected ? static_cast<size_t>(a.top) * 4 : 0);
}

// Rows that the chunk reads, and what the blocks want for scores.
struct Needs {
  int n_raw = 0, n_compressed = 0;
  int64_t first_raw = 0;
  int64_t row_bytes = 0, block_bytes = 0;

  explicit Needs(const Attention& a) {
    const int64_t end = a.places.first[0] + a.places.rows();
    first_raw = std::max<int64_t>(a.places.first[0] + 1 - a.window, 0);
    n_raw = static_cast<int>(end - first_raw);
    if (a.compressed.slots[0] > 0) n_compressed = static_cast<int>(end / a.ratio);
    row_bytes = int64_t{n_raw + n_compressed} * kDim * 2;
    block_bytes = a.stride * kHeads * 4;
  }
};

}  // namespace

int64_t attend_chunk_room(Launch at, const Attention& a, int64_t most) {
  const bool shaped =
      a.dim == kDim && a.heads % kHeads == 0 && has_whole_octets(a.raw.shape) && a.rope % 2 == 0;
  if (!at.strict || !shaped || a.places.count != 1 || a.places.origin[0] != nullptr ||
      a.whole_segment || shared_bytes(a) > block_shared_bytes()) {
    return 0;
  }
  const Needs needs(a);
  const int64_t wanted = std::min(multiprocessors(), a.places.rows());
  const int64_t blocks = std::min((most - needs.row_bytes) / needs.block_bytes, wanted);
  // With few blocks the other kernels are faster.
  return 2 * blocks < wanted ? 0 : needs.row_bytes + blocks * needs.block_bytes;
}

void attend_chunk(Launch at, const Attention& a, void* room, int64_t bytes) {
  const Needs needs(a);
  ChunkRows rows;
  rows.raw = static_cast<Bf16*>(room);
  rows.first_raw = needs.first_raw;
  rows.compressed = rows.raw + int64_t{needs.n_raw} * kDim;
  rows.scores = reinterpret_cast<float*>(rows.compressed + int64_t{needs.n_compressed} * kDim);
  const int n = needs.n_raw + needs.n_compressed;
  start(at, widen_rows_kernel, blocks_for(n, kThreads / kOctets), kThreads, 0, a, rows, needs.n_raw,
        n);
  const size_t shared = shared_bytes(a);
  allow_shared(attend_chunk_kernel, shared);
  const auto blocks = static_cast<unsigned>((bytes - needs.row_bytes) / needs.block_bytes);
  start(at, attend_chunk_kernel, blocks, kThreads, shared, a, rows);
}

}  // namespace ds4::ops::cuda

// Scores of the indexer for many queries by warp groups, on the GPUs that have them (Hopper): keys
// in registers meet the heads of one query after the other in shared memory. Products and sums
// come in the order of select.cu, with the same bits.
#include "engine/ops/cuda/launch.cuh"
#include "engine/ops/cuda/mma.cuh"
#include "engine/ops/cuda/select.cuh"
#include "engine/ops/cuda/wgmma.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * 32;
constexpr int kGroupKeys = 64;  // of a warp group and tile
constexpr int kKeyTiles = 2;
constexpr int kKeys = kWarps / 4 * kKeyTiles * kGroupKeys;  // of a block
constexpr int kQueries = 32;                                // that a block meets
constexpr int kHeads = 64;
constexpr int kDim = 128;
constexpr int kUnits = kDim / 8;  // of 16 bytes
constexpr int kStages = 3;

struct Room {
  uint4 heads[kStages][2][kHeads][8];  // halves of 64 dims, as describe_columns() says
  __nv_bfloat162 weights[kStages][kHeads / 2];
};

__global__ void __launch_bounds__(kThreads, 2)
    group_scores_kernel(const __grid_constant__ Selection s) {
  wait_for_inputs();
  extern __shared__ __align__(1024) unsigned char memory[];
  auto& room = *reinterpret_cast<Room*>(memory);
  const int segment = blockIdx.z;
  const int begin = s.places.row[segment] + blockIdx.y * kQueries;
  const int end = min(begin + kQueries, s.places.row[segment + 1]);
  if (begin >= end) return;
  const int64_t first_key = int64_t{blockIdx.x} * kKeys;
  const int64_t most = visible(s, end - 1);
  if (first_key >= most || most <= s.top) return;

  const auto stage = [&](int row) {
    if (row < end) {
      const int at = (row - begin) % kStages;
      const int unit = threadIdx.x % kUnits;
      const auto* from = static_cast<const uint4*>(s.arranged) + int64_t{row} * kHeads * kUnits;
#pragma unroll
      for (int i = 0; i < kHeads * kUnits / kThreads; ++i) {
        const int head = threadIdx.x / kUnits + i * (kThreads / kUnits);
        copy_async<16>(&room.heads[at][unit / 8][head][unit % 8 ^ head % 8],
                       from + head * kUnits + unit);
      }
      if (threadIdx.x < kHeads / 2) {
        const int head = 2 * static_cast<int>(threadIdx.x);
        room.weights[at][threadIdx.x] =
            __floats2bfloat162_rn(head_weight(s, row, head), head_weight(s, row, head + 1));
      }
    }
    commit_async();
  };
#pragma unroll
  for (int i = 0; i < kStages - 1; ++i) stage(begin + i);

  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int g = lane / 4;
  const int t = lane % 4;
  const int64_t group_key = first_key + warp / 4 * kKeyTiles * kGroupKeys;
  uint32_t keys[kKeyTiles][kDim / 16][4];
#pragma unroll
  for (int r = 0; r < kKeyTiles; ++r) {
    StoredKey stored[2][kDim / 32];
#pragma unroll
    for (int i = 0; i < 2 * kDim / 32; ++i) {
      const int64_t key = group_key + r * kGroupKeys + warp % 4 * 16 + 8 * (i % 2) + g;
      stored[i % 2][i / 2] = load_key(s, s.keys.data[segment], key, most, 32 * (i / 2) + 8 * t);
    }
#pragma unroll
    for (int i = 0; i < kDim / 32; ++i) {
      const uint4 top = decode_key(stored[0][i]);
      const uint4 low = decode_key(stored[1][i]);
#pragma unroll
      for (int p = 0; p < 2; ++p) {
        uint32_t(&a)[4] = keys[r][2 * i + p];
        a[0] = word(top, 2 * p);
        a[1] = word(low, 2 * p);
        a[2] = word(top, 2 * p + 1);
        a[3] = word(low, 2 * p + 1);
      }
    }
  }
#pragma unroll 1
  for (int row = begin; row < end; ++row) {
    wait_async<kStages - 2>();
    publish_copies();
    __syncthreads();  // this stage is filled, and the one before is read
    stage(row + kStages - 1);
    const int at = (row - begin) % kStages;
    const uint64_t heads = describe_columns(&room.heads[at]);
    const int64_t seen = visible(s, row);
    if (seen <= s.top) continue;
    Bf16* out = static_cast<Bf16*>(s.scores) + int64_t{row - s.places.row[0]} * s.stride;
#pragma unroll
    for (int r = 0; r < kKeyTiles; ++r) {
      if (group_key + r * kGroupKeys >= seen) break;
      float dots[kHeads / 8][4];
      begin_products();
#pragma unroll
      for (int p = 0; p < kDim / 16; ++p) {
        const auto half = static_cast<uint64_t>(p / 4 * (kHeads * 128 / 16));
        group_product<true>(dots, keys[r][p], heads + half + p % 4 * kNext16, p != 0);
      }
      end_products();
      wait_products(dots);
      float sum[2] = {};
#pragma unroll
      for (int j = 0; j < kHeads / 8; ++j) {
        const __nv_bfloat162 weights = room.weights[at][4 * j + t];
        add_heads(dots[j][0], dots[j][1], weights, sum[0]);
        add_heads(dots[j][2], dots[j][3], weights, sum[1]);
      }
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        sum[half] += __shfl_xor_sync(0xffffffffu, sum[half], 1);
        sum[half] += __shfl_xor_sync(0xffffffffu, sum[half], 2);
        const int64_t key = group_key + r * kGroupKeys + warp % 4 * 16 + 8 * half + g;
        if (t == 0 && key < seen) out[key] = put<Bf16>(sum[half]);
      }
    }
  }
}

}  // namespace

bool selects_by_groups(Launch at, const Selection& s) {
  return at.strict && at.warp_groups && s.heads == kHeads && s.dim == kDim &&
         s.keys.shape.format == RowShape::kFp4 && s.keys.shape.bytes % 4 == 0;
}

void group_scores(const Launch& at, const Selection& s, int most_rows) {
  const dim3 grid(blocks_for(s.stride, kKeys), blocks_for(most_rows, kQueries),
                  static_cast<unsigned>(s.places.count));
  allow_shared(group_scores_kernel, sizeof(Room));
  start(at, group_scores_kernel, grid, kThreads, sizeof(Room), s);
}

}  // namespace ds4::ops::cuda

// Attention of many queries (prefill) in three kernels: scores, softmax, weighted sum. Where all
// queries read every compressed row (ratio 128), two queries share the staging of rows: behind the
// window the rows of neighbours are the same. The order of every sum is that of a query alone.
#include "engine/ops/cuda/attend.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kHeadWarps = 4;  // 16 heads each
constexpr int kHeads = kHeadWarps * 16;
constexpr int kGroup = kHeadWarps * 32;  // threads of a query
constexpr int kStage = 64;               // rows that the last kernel stages at a time
constexpr int kAloneSlice = 64;          // values of a head per block of the last kernel
constexpr int kSharedSlice = 128;        // the same where two queries share the rows

// The queries of a block: a group of threads each. Rows are staged for the last one, which sees the
// most.
template <int kQueries>
struct Queries {
  int row;      // this group's, or the last one where there is none
  bool exists;  // whether it is this group's
  Keys keys;    // of `row`
  Keys staged;

  __device__ explicit Queries(const Attention& a) {
    const int first = a.places.row[0] + blockIdx.y * kQueries;
    const int last = a.places.row[a.places.count] - 1;
    const int own = first + static_cast<int>(threadIdx.x) / kGroup;
    exists = own <= last;
    row = min(own, last);
    keys = keys_of(a, row);
    staged = kQueries == 1 ? keys : keys_of(a, min(first + kQueries - 1, last));
  }
};

// Values slice .. slice + 8 * octets - 1 of listed rows begin .. begin + count - 1 into a tile,
// zeros for rows that are not there and behind the last row and the last value. A thread has kBatch
// loads under way.
template <int kThreads, int kBatch>
__device__ void stage_rows(const Attention& a, const Keys& keys, const uint8_t* const* rows,
                           int begin, int count, int slice, int octets, int thread, Bf16* tile,
                           int stride) {
  const RowShape& shape = a.raw.shape;
  const bool whole = has_whole_octets(shape);
  const int total = count * octets;
  for (int first = thread; first < total; first += kBatch * kThreads) {
    StoredOctet stored[kBatch];
    if (whole) {
#pragma unroll
      for (int i = 0; i < kBatch; ++i) {
        const int at = min(first + i * kThreads, total - 1);
        const int d = min(slice + at % octets * 8, a.dim - 8);
        const uint8_t* row = rows[at / octets];
        stored[i] = load_octet(shape, row != nullptr ? row : keys.raw, d);
      }
    }
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      const int at = first + i * kThreads;
      if (at >= total) break;
      const int r = at / octets;
      const int in_slice = at % octets * 8;
      const int d = slice + in_slice;
      uint4 octet{0, 0, 0, 0};
      if (begin + r < keys.n && d < a.dim && rows[r] != nullptr) {
        octet = whole ? decode_octet(shape, stored[i], d) : row_octet(shape, rows[r], d);
      }
      *reinterpret_cast<uint4*>(tile + r * stride + in_slice) = octet;
    }
  }
}

// Eight values of a BF16 vector from a multiple of 8 on, zeros behind its end.
__device__ uint4 vector_octet(const Bf16* x, int d, int dim) {
  if (dim % 8 == 0) {  // without a branch that depends on d
    const uint4 v = __ldg(reinterpret_cast<const uint4*>(x + min(d, dim - 8)));
    return d < dim ? v : uint4{0, 0, 0, 0};
  }
  __align__(16) Bf16 out[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) out[i] = d + i < dim ? x[d + i] : __float2bfloat16_rn(0.0f);
  return *reinterpret_cast<const uint4*>(out);
}

// A block per kRows rows from `origin` on; a warp per 16 heads. k runs in octets: a lane's 16 bytes
// of query and row serve two products. A row that is not there scores -inf.
template <int kQueries, int kRows>
__global__ void __launch_bounds__(kQueries* kGroup)
    scores_kernel(const __grid_constant__ Attention a, int padded, int origin) {
  wait_for_inputs();
  constexpr int kThreads = kQueries * kGroup;
  extern __shared__ __align__(16) unsigned char memory[];
  __shared__ const uint8_t* rows[kRows];
  auto* tile = reinterpret_cast<Bf16*>(memory);  // [kRows][padded + kRowPad]
  const int stride = padded + kRowPad;
  const Queries<kQueries> at(a);
  const int begin = origin + static_cast<int>(blockIdx.x) * kRows;
  if (begin >= at.staged.n) return;
  list_rows<kThreads>(a, at.staged, begin, threadIdx.x, rows);
  __syncthreads();
  stage_rows<kThreads, 4>(a, at.staged, rows, begin, kRows, 0, padded / 8, threadIdx.x, tile,
                          stride);
  __syncthreads();
  if (!at.exists || begin >= at.keys.n) return;

  const int lane = threadIdx.x % 32;
  const int g = lane / 4;
  const int t = lane % 4;
  const auto* q = static_cast<const Bf16*>(a.q) + int64_t{at.row} * a.heads * a.dim;
  for (int base = threadIdx.x % kGroup / 32 * 16; base < a.heads; base += kHeads) {
    float acc[kRows / 8][4] = {};
    // Heads beyond the last repeat it; nothing of theirs is stored.
    const Bf16* top = q + int64_t{min(base + g, a.heads - 1)} * a.dim;
    const Bf16* low = q + int64_t{min(base + g + 8, a.heads - 1)} * a.dim;
    constexpr int kBatch = 2;
#pragma unroll 1
    for (int first = 0; first < padded; first += 32 * kBatch) {
      uint4 query[kBatch][2];
#pragma unroll
      for (int i = 0; i < kBatch; ++i) {
        const int k = first + 32 * i + 8 * t;
        query[i][0] = vector_octet(top, k, a.dim);
        query[i][1] = vector_octet(low, k, a.dim);
      }
#pragma unroll
      for (int i = 0; i < kBatch; ++i) {
        const int k = first + 32 * i + 8 * t;
        if (first + 32 * i >= padded) break;
#pragma unroll
        for (int j = 0; j < kRows / 8; ++j) {
          const uint4 key = *reinterpret_cast<const uint4*>(tile + (8 * j + g) * stride + k);
          const uint4& a0 = query[i][0];
          const uint4& a1 = query[i][1];
          mma_bf16(acc[j], a0.x, a1.x, a0.y, a1.y, key.x, key.y);
          mma_bf16(acc[j], a0.z, a1.z, a0.w, a1.w, key.z, key.w);
        }
      }
    }
#pragma unroll
    for (int j = 0; j < kRows / 8; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int head = base + g + 8 * (i / 2);
        const int key = 8 * j + 2 * t + i % 2;
        if (head >= a.heads || begin + key >= at.keys.n) continue;
        scores_of(a, at.row, head)[begin + key] = rows[key] ? acc[j][i] * a.scale : -INFINITY;
      }
    }
  }
}

// A block per kSlice values of the heads of its queries; a warp per 16 heads; k runs over the rows,
// of which those before `shared_from` are each query's own.
template <int kQueries, int kSlice>
__global__ void __launch_bounds__(kQueries* kGroup)
    weigh_kernel(const __grid_constant__ Attention a, int shared_from) {
  wait_for_inputs();
  constexpr int kThreads = kQueries * kGroup;
  constexpr int kTileStride = kSlice + 8;
  __shared__ __align__(16) Bf16 tiles[kQueries][kStage][kTileStride];
  __shared__ const uint8_t* rows[kQueries][kStage];
  const Queries<kQueries> at(a);
  const int slice = blockIdx.x * kSlice;
  const int group = threadIdx.x / kGroup;
  const int in_group = threadIdx.x % kGroup;
  const int lane = threadIdx.x % 32;
  const int g = lane / 4;
  const int t = lane % 4;
  for (int round = 0; round < a.heads; round += kHeads) {
    const int base = round + in_group / 32 * 16;
    // Heads beyond the last repeat it; nothing of theirs is stored.
    const auto weights = [&](int head) {
      return reinterpret_cast<const Bf16*>(scores_of(a, at.row, min(head, a.heads - 1))) + 2 * t;
    };
    const Bf16* top = weights(base + g);
    const Bf16* low = weights(base + g + 8);
    float acc[kSlice / 8][4] = {};
    for (int begin = 0; begin < at.staged.n; begin += kStage) {
      const bool own = kQueries > 1 && begin < shared_from;
      const int tile = own ? group : 0;
      __syncthreads();  // the tiles before are read
      if (own) {
        list_rows<kGroup>(a, at.keys, begin, in_group, rows[tile]);
      } else {
        list_rows<kThreads>(a, at.staged, begin, threadIdx.x, rows[0]);
      }
      __syncthreads();
      if (own) {
        stage_rows<kGroup, 4>(a, at.keys, rows[tile], begin, kStage, slice, kSlice / 8, in_group,
                              &tiles[tile][0][0], kTileStride);
      } else {
        stage_rows<kThreads, 4>(a, at.staged, rows[0], begin, kStage, slice, kSlice / 8,
                                threadIdx.x, &tiles[0][0][0], kTileStride);
      }
      __syncthreads();
      if (begin >= at.keys.n) continue;
        // Up to the end of the stage: the weights behind a query's last row are zeros.
#pragma unroll 2
      for (int first = 0; first < kStage; first += 16) {
        const auto pair = [&](const Bf16* p) {
          return *reinterpret_cast<const uint32_t*>(p + begin + first);
        };
        const uint32_t w0 = pair(top), w1 = pair(low), w2 = pair(top + 8), w3 = pair(low + 8);
#pragma unroll
        for (int j = 0; j < kSlice / 8; j += 2) {
          const uint4 b = load_transposed(&tiles[tile][first + lane % 16][8 * j + lane / 16 * 8]);
          mma_bf16(acc[j], w0, w1, w2, w3, b.x, b.y);
          mma_bf16(acc[j + 1], w0, w1, w2, w3, b.z, b.w);
        }
      }
    }
    if (!at.exists) continue;
    const float* sums = sums_of(a, at.row);
#pragma unroll
    for (int j = 0; j < kSlice / 8; ++j) {
      const int d = slice + 8 * j + 2 * t;
      if (d >= a.dim) continue;
      for (int i = 0; i < 2; ++i) {
        const int head = base + g + 8 * i;
        if (head >= a.heads) break;
        store_pair<Bf16>(a, at.row, head, d, sums[head], acc[j][2 * i], acc[j][2 * i + 1]);
      }
    }
  }
}

template <int kQueries, int kRows>
void start_scores(const Launch& at, const Attention& a, int64_t rows, int origin) {
  const int padded = (a.dim + 31) / 32 * 32;
  const size_t shared = size_t{kRows} * static_cast<size_t>(padded + kRowPad) * 2;
  const auto kernel = scores_kernel<kQueries, kRows>;
  allow_shared(kernel, shared);
  start(at, kernel, dim3(blocks_for(rows, kRows), blocks_for(a.places.rows(), kQueries)),
        kQueries * kGroup, shared, a, padded, origin);
}

// Whether neighbours read the same rows behind the window: those of one segment whose windows are
// full.
bool neighbours_share(const Attention& a) {
  return a.places.count == 1 && a.places.origin[0] == nullptr && !a.whole_segment &&
         a.selected == nullptr && a.compressed.slots[0] > 0 && a.window % kStage == 0 &&
         a.places.first[0] + 1 >= a.window;
}

}  // namespace

void attend_many(const Launch& at, const Attention& a) {
  const auto queries = static_cast<unsigned>(a.places.rows());
  const bool pairs = neighbours_share(a) && a.stride > a.window;
  if (pairs) {
    start_scores<1, 32>(at, a, a.window, 0);
    start_scores<2, 64>(at, a, a.stride - a.window, a.window);
  } else {
    start_scores<1, 32>(at, a, a.stride, 0);
  }
  start(at, softmax_kernel<Bf16>, dim3(queries, blocks_for(a.heads, kSoftmaxWarps)),
        kSoftmaxWarps * 32, 0, a);
  if (pairs) {
    start(at, weigh_kernel<2, kSharedSlice>,
          dim3(blocks_for(a.dim, kSharedSlice), blocks_for(queries, 2)), 2 * kGroup, 0, a,
          a.window);
  } else {
    start(at, weigh_kernel<1, kAloneSlice>, dim3(blocks_for(a.dim, kAloneSlice), queries), kGroup,
          0, a, 0);
  }
}

}  // namespace ds4::ops::cuda

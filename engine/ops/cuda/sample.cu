// Drawing tokens as engine/ops/sampling.h defines it, bit for bit: the arithmetic is drawing.h's,
// compiled without contraction, and all sums are of integers, so that their order is free. A cut
// (top-k, top-p) keeps a prefix of the tokens in the order of likelihood; it is found without
// sorting, by the digits of keys that are unique and ordered alike.
#include <cmath>

#include "engine/ops/cuda/launch.cuh"

namespace ds4::ops::cuda {
namespace {

// A weight w > 0 as a key part that spreads evenly over its leading digits: exponent and mantissa,
// plus 1 so that 0 is left for "cut".
constexpr int kOrderBits = 46;
constexpr uint64_t kMantissa = kFullWeight - 1;
static_assert(uint64_t{kWeightBits} < (uint64_t{1} << (kOrderBits - kWeightBits)));

__device__ uint64_t order_of(uint64_t w) {
  const int exponent = 63 - __clzll(static_cast<long long>(w));
  const uint64_t mantissa = (w << (kWeightBits - exponent)) & kMantissa;
  return (static_cast<uint64_t>(exponent) << kWeightBits | mantissa) + 1;
}

__device__ uint64_t weight_at(uint64_t order) {
  if (order == 0) return 0;
  const auto exponent = static_cast<int>((order - 1) >> kWeightBits);
  return (kFullWeight | ((order - 1) & kMantissa)) >> (kWeightBits - exponent);
}

constexpr int kDigit = 12;
constexpr int kBins = 1 << kDigit;

// A greatest z so far; token -1: none above -inf.
struct Best {
  double z;
  int32_t token;
};
__device__ Best better(Best a, Best b) {
  if (b.token < 0) return a;
  if (a.token < 0 || b.z > a.z || (b.z == a.z && b.token < a.token)) return b;
  return a;
}

// Sums of the threads in front and of all threads of a block.
struct Sums {
  uint64_t before, total;
};
template <int kThreads>
__device__ Sums scan(uint64_t value) {
  __shared__ uint64_t ends[kThreads / 32];
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  uint64_t sum = value;
  for (int step = 1; step < 32; step *= 2) {
    const uint64_t other = __shfl_up_sync(~0u, sum, static_cast<unsigned>(step));
    if (lane >= step) sum += other;
  }
  __syncthreads();  // a scan before this one may still be read
  if (lane == 31) ends[warp] = sum;
  __syncthreads();
  Sums result{sum - value, 0};
  for (int w = 0; w < kThreads / 32; ++w) {
    if (w < warp) result.before += ends[w];
    result.total += ends[w];
  }
  return result;
}

// Whether this block is the last of its row to come here; what the others wrote before is visible.
__device__ bool comes_last(unsigned* arrived) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    last = atomicAdd(arrived, 1) == gridDim.x - 1;
    if (last) *arrived = 0;
  }
  __syncthreads();
  __threadfence();
  return last;
}

__device__ double widened(float logit) {
  return isnan(logit) ? -INFINITY : static_cast<double>(logit);
}

__device__ double z_of(const DrawTask& task, const DrawRow& row, int64_t i) {
  return row.n_changes
             ? __longlong_as_double(static_cast<long long>(task.keys[blockIdx.y * task.vocab + i]))
             : widened(row.logits[i]);
}

constexpr int kPart = 1024;  // tokens of a block, where it has a fixed part
constexpr int kPartThreads = 256;

// Steps 1-4 for rows that something changes: z of a block's tokens, then the changes among these.
__global__ void __launch_bounds__(kPartThreads)
    change_kernel(const __grid_constant__ DrawTask task) {
  wait_for_inputs();
  const DrawRow& row = task.row[blockIdx.y];
  if (row.n_changes == 0) return;
  const int64_t first = int64_t{blockIdx.x} * kPart;
  const int64_t end = min(first + kPart, task.vocab);
  uint64_t* z = task.keys + blockIdx.y * task.vocab;
  for (int64_t i = first + threadIdx.x; i < end; i += kPartThreads) {
    z[i] = static_cast<uint64_t>(__double_as_longlong(widened(row.logits[i])));
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < row.n_changes; i += kPartThreads) {
    const TokenChange change = row.changes[i];
    if (change.token < first || change.token >= end) continue;
    const double before = __longlong_as_double(static_cast<long long>(z[change.token]));
    z[change.token] = static_cast<uint64_t>(
        __double_as_longlong(changed(before, change, row.biases, row.penalties)));
  }
}

constexpr int kSearchThreads = 512;

// The largest z and its lowest token: the draw itself at temperature 0.
__global__ void __launch_bounds__(kSearchThreads)
    greatest_kernel(const __grid_constant__ DrawTask task) {
  __shared__ Best warps[kSearchThreads / 32];
  wait_for_inputs();
  const DrawRow& row = task.row[blockIdx.y];
  DrawState& state = task.states[blockIdx.y];
  const auto reduced = [&](Best best) {
    for (int step = 16; step > 0; step /= 2) {
      best = better(best,
                    {__shfl_xor_sync(~0u, best.z, step), __shfl_xor_sync(~0u, best.token, step)});
    }
    __syncthreads();
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = best;
    __syncthreads();
    for (const Best& other : warps) best = better(best, other);
    return best;
  };
  Best best{-INFINITY, -1};
  const int64_t stride = int64_t{gridDim.x} * kSearchThreads;
#pragma unroll 4
  for (int64_t i = int64_t{blockIdx.x} * kSearchThreads + threadIdx.x; i < task.vocab;
       i += stride) {
    const double z = z_of(task, row, i);
    if (z > best.z) best = {z, static_cast<int32_t>(i)};
  }
  best = reduced(best);
  if (threadIdx.x == 0) {
    state.part_z[blockIdx.x] = best.z;
    state.part_token[blockIdx.x] = best.token;
  }
  if (!comes_last(&state.arrived)) return;
  best = {-INFINITY, -1};
  if (threadIdx.x < gridDim.x) {
    best = {__ldcg(state.part_z + threadIdx.x), __ldcg(state.part_token + threadIdx.x)};
  }
  best = reduced(best);
  if (threadIdx.x != 0) return;
  state.top = best.z;
  state.none = best.token < 0;
  state.least = 0;
  if (row.temperature == 0 || best.token < 0) task.tokens[blockIdx.y] = best.token;
}

// Step 5 and min_p: the keys of all tokens; 0 where the weight is.
__global__ void __launch_bounds__(kPartThreads)
    weigh_kernel(const __grid_constant__ DrawTask task) {
  wait_for_inputs();
  const DrawRow& row = task.row[blockIdx.y];
  const DrawState& state = task.states[blockIdx.y];
  if (row.temperature == 0 || state.none) return;
  const int64_t end = min((int64_t{blockIdx.x} + 1) * kPart, task.vocab);
  for (int64_t i = int64_t{blockIdx.x} * kPart + threadIdx.x; i < end; i += kPartThreads) {
    const uint64_t w = weight_of(z_of(task, row, i), state.top, row.temperature);
    const bool kept = w > 0 && w >= row.least_weight;
    task.keys[blockIdx.y * task.vocab + i] =
        kept ? order_of(w) << task.id_bits | static_cast<uint64_t>(task.vocab - 1 - i) : 0;
  }
}

constexpr int kDescendThreads = 1024;
constexpr int kDescendBlocks = 32;

// One digit of the way to the least key that a cut keeps: what the kept keys are worth (their
// weights for top-p, 1 each for top-k) is summed by digit, and the digit at which the sum from
// above reaches the goal is the next one of that key.
template <bool kShare>
__global__ void __launch_bounds__(kDescendThreads)
    descend_kernel(const __grid_constant__ DrawTask task, int from_shift, int shift) {
  __shared__ uint64_t bins[kBins];
  const auto thread = static_cast<int>(threadIdx.x);
  for (int bin = thread; bin < kBins; bin += kDescendThreads) bins[bin] = 0;
  wait_for_inputs();
  const DrawRow& row = task.row[blockIdx.y];
  DrawState& state = task.states[blockIdx.y];
  const bool first = from_shift == kOrderBits + task.id_bits;
  if (row.temperature == 0 || state.none || !(kShare ? row.top_p < 1 : row.top_k > 0)) return;
  if (!first && state.found) return;
  const uint64_t prefix = first ? 0 : state.prefix;
  const uint64_t least = state.least;
  __syncthreads();
  for (int64_t i = int64_t{blockIdx.x} * kDescendThreads + thread; i < task.vocab;
       i += int64_t{kDescendBlocks} * kDescendThreads) {
    const uint64_t key = task.keys[blockIdx.y * task.vocab + i];
    if (key == 0 || key < least || (!first && key >> from_shift != prefix)) continue;
    const auto digit =
        static_cast<int>((key >> shift) & ((uint64_t{1} << (from_shift - shift)) - 1));
    const uint64_t value = kShare ? weight_at(key >> task.id_bits) : 1;
    atomicAdd(reinterpret_cast<unsigned long long*>(bins + digit), value);
  }
  __syncthreads();
  uint64_t* all = task.bins + int64_t{blockIdx.y} * kBins;
  for (int bin = thread; bin < kBins; bin += kDescendThreads) {
    if (bins[bin]) atomicAdd(reinterpret_cast<unsigned long long*>(all + bin), bins[bin]);
  }
  if (!comes_last(&state.arrived)) return;

  // A thread's digits are four neighbours, from the highest digit down.
  constexpr int kOwn = kBins / kDescendThreads;
  uint64_t own[kOwn];
  uint64_t sum = 0;
  for (int i = 0; i < kOwn; ++i) {
    const int bin = kBins - 1 - (thread * kOwn + i);
    own[i] = __ldcg(all + bin);
    sum += own[i];
    all[bin] = 0;
  }
  const Sums sums = scan<kDescendThreads>(sum);
  const uint64_t above = first ? 0 : state.above;
  const uint64_t goal = !first   ? state.goal
                        : kShare ? share_of(sums.total, row.top_p)
                                 : static_cast<uint64_t>(row.top_k);
  __syncthreads();                  // the state has been read
  if (sums.total + above < goal) {  // nothing is to be cut
    if (thread == 0) state.found = true;
    return;
  }
  uint64_t before = above + sums.before;
  if (before >= goal || before + sum < goal) return;
  for (int i = 0; i < kOwn; ++i) {
    if (before + own[i] < goal) {
      before += own[i];
      continue;
    }
    const auto digit = static_cast<uint64_t>(kBins - 1 - (thread * kOwn + i));
    const uint64_t reached = prefix << (from_shift - shift) | digit;
    const uint64_t lowest = reached << shift;  // at most the least key of this digit
    // Where the goal needs the last key of the digit too, all of them stay.
    const uint64_t worth = kShare ? weight_at(lowest >> task.id_bits) : 1;
    state.prefix = reached;
    state.above = before;
    state.goal = goal;
    state.found = shift == 0 || before + own[i] - worth < goal;
    if (state.found) state.least = max(least, lowest);
    return;
  }
}

// Step 9: the weights of a block's part, and in the last block the part and the token in it that
// the random number chooses.
__global__ void __launch_bounds__(kPartThreads) pick_kernel(const __grid_constant__ DrawTask task) {
  wait_for_inputs();
  const DrawRow& row = task.row[blockIdx.y];
  DrawState& state = task.states[blockIdx.y];
  if (row.temperature == 0 || state.none) return;
  const uint64_t* keys = task.keys + blockIdx.y * task.vocab;
  const uint64_t least = max(state.least, uint64_t{1});
  constexpr int kOwn = kPart / kPartThreads;
  uint64_t own[kOwn];
  // The weights of a thread's tokens in a part; their sum.
  const auto weigh = [&](int64_t part) {
    uint64_t sum = 0;
    for (int i = 0; i < kOwn; ++i) {
      const int64_t token = part * kPart + int64_t{threadIdx.x} * kOwn + i;
      const uint64_t key = token < task.vocab ? keys[token] : 0;
      own[i] = key >= least ? weight_at(key >> task.id_bits) : 0;
      sum += own[i];
    }
    return sum;
  };
  const Sums part = scan<kPartThreads>(weigh(blockIdx.x));
  if (threadIdx.x == 0) state.part_weight[blockIdx.x] = part.total;
  if (!comes_last(&state.arrived)) return;

  __shared__ uint64_t target;
  __shared__ int64_t chosen;
  const uint64_t mine =
      threadIdx.x < gridDim.x ? __ldcg(state.part_weight + threadIdx.x) : uint64_t{0};
  const Sums parts = scan<kPartThreads>(mine);
  const uint64_t at = high_product(row.random << 11, parts.total);
  if (parts.before <= at && at < parts.before + mine) {
    target = at - parts.before;
    chosen = threadIdx.x;
  }
  __syncthreads();
  const uint64_t sum = weigh(chosen);
  uint64_t before = scan<kPartThreads>(sum).before;
  if (before > target || before + sum <= target) return;
  for (int i = 0; i < kOwn; ++i) {
    before += own[i];
    if (before <= target) continue;
    task.tokens[blockIdx.y] =
        static_cast<int32_t>(chosen * kPart + int64_t{threadIdx.x} * kOwn + i);
    return;
  }
}

template <bool kShare>
void descend(const Launch& at, const DrawTask& task) {
  const dim3 grid(kDescendBlocks, static_cast<unsigned>(task.rows));
  for (int shift = kOrderBits + task.id_bits; shift > 0;) {
    const int from = shift;
    shift = shift > kDigit ? shift - kDigit : 0;
    start(at, descend_kernel<kShare>, grid, kDescendThreads, 0, task, from, shift);
  }
}

}  // namespace

static_assert(kMostVocabulary / kPart <= kPartThreads && kPartThreads <= kDrawParts);

int64_t draw_bins_bytes(int rows) {
  return int64_t{rows} * kBins * 8;
}

void draw(Launch at, const DrawTask& task) {
  const auto rows = static_cast<unsigned>(task.rows);
  bool changes = false;
  bool weighs = false;
  bool counts = false;
  bool shares = false;
  for (int i = 0; i < task.rows; ++i) {
    const DrawRow& row = task.row[i];
    changes |= row.n_changes > 0;
    if (row.temperature == 0) continue;
    weighs = true;
    counts |= row.top_k > 0;
    shares |= row.top_p < 1;
  }
  const dim3 parts(static_cast<unsigned>((task.vocab + kPart - 1) / kPart), rows);
  if (changes) start(at, change_kernel, parts, kPartThreads, 0, task);
  // Four loads of a thread on their way at a time, and no block without work.
  const int64_t searches = (task.vocab + 4 * kSearchThreads - 1) / (4 * kSearchThreads);
  start(at, greatest_kernel, dim3(static_cast<unsigned>(searches), rows), kSearchThreads, 0, task);
  if (!weighs) return;
  start(at, weigh_kernel, parts, kPartThreads, 0, task);
  if (counts) descend<false>(at, task);
  if (shares) descend<true>(at, task);
  start(at, pick_kernel, parts, kPartThreads, 0, task);
}

}  // namespace ds4::ops::cuda

// Routing by score or token id (model.md 3.7 steps 1-3), the lists that sort (token, slot) pairs by
// expert, and the final sum. No float atomics: every list and sum has one order.
#include <algorithm>

#include "engine/ops/cuda/launch.cuh"
#include "engine/ops/cuda/numeric.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kListWarps = 32;

__device__ float sqrt_softplus(float x) {
  return sqrtf(x > 20 ? x : log1pf(expf(x)));
}

// Larger scores have larger keys, both zeros the same; 0 for what is never chosen: NaN, -inf.
__device__ uint32_t key_of(float score) {
  const uint32_t bits = __float_as_uint(score + 0.0f);
  if (!(score > -INFINITY)) return 0;
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

__host__ __device__ constexpr int route_floats(int experts, int per_token) {
  return 2 * experts + per_token;
}

// A token by one warp. Scores replace the logits; `score` [route_floats] is shared memory.
__device__ void route_token(const Routing& r, int64_t token, float* score, float* logits,
                            int32_t* ids, float* weights) {
  auto* keys = reinterpret_cast<uint32_t*>(score + r.experts);  // [experts]
  auto* chosen = reinterpret_cast<int32_t*>(keys + r.experts);
  const int lane = threadIdx.x % 32;
  for (int e = lane; e < r.experts; e += 32) {
    const float s = sqrt_softplus(logits[token * r.experts + e]);
    score[e] = s;
    logits[token * r.experts + e] = s;
    // The bias selects but never weighs.
    if (r.bias) keys[e] = key_of(s + r.bias[e]);
  }
  __syncwarp();
  if (r.tid2eid) {
    const int32_t* row = r.tid2eid + int64_t{r.tokens[token]} * r.per_token;
    for (int j = lane; j < r.per_token; j += 32) chosen[j] = row[j];
  } else {
    for (int j = 0; j < r.per_token; ++j) {
      uint32_t best = 0;
      int at = r.experts;
#pragma unroll 8
      for (int e = lane; e < r.experts; e += 32) {
        if (keys[e] > best) {
          best = keys[e];
          at = e;
        }
      }
      const uint32_t top = __reduce_max_sync(0xffffffffu, best);
      at = __reduce_min_sync(0xffffffffu, best == top ? at : r.experts);
      if (lane == 0) {
        // Only NaN scores leave nobody; any legal id will do then.
        chosen[j] = at < r.experts ? at : j;
        if (at < r.experts) keys[at] = 0;
      }
      __syncwarp();
    }
  }
  __syncwarp();
  float sum = 0;
  for (int j = 0; j < r.per_token; ++j) sum += score[chosen[j]];
  for (int j = lane; j < r.per_token; j += 32) {
    const float s = score[chosen[j]];
    ids[token * r.per_token + j] = chosen[j];
    weights[token * r.per_token + j] = r.factor * (r.normalise ? s / sum : s);
  }
}

__global__ void route_kernel(Routing r, float* logits, int32_t* ids, float* weights) {
  wait_for_inputs();
  extern __shared__ float score[];
  route_token(r, blockIdx.x, score, logits, ids, weights);
}

// One block. Each warp has a part of the pairs: it counts them by expert, then places them behind
// those of the warps before it.
__global__ void __launch_bounds__(kListWarps * 32)
    list_kernel(int pairs, int per_token, int experts, int most_columns, const int32_t* ids,
                const float* route_weights, ExpertLists lists) {
  wait_for_inputs();
  extern __shared__ int32_t start[];         // [experts + 1]
  int32_t* first_job = start + experts + 1;  // [experts]
  int32_t* next = first_job + experts;       // [warps, experts]: counts, then places
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  int32_t* own = next + warp * experts;
  const int part = (pairs + kListWarps * 32 - 1) / (kListWarps * 32) * 32;
  const int end = min((warp + 1) * part, pairs);
  for (int i = threadIdx.x; i < kListWarps * experts; i += kListWarps * 32) next[i] = 0;
  __syncthreads();
  // Calls use(pair, expert, lanes with the same expert) for all of the warp's pairs in order; the
  // first of these lanes counts them.
  const auto each_pair = [&](const auto& use) {
    for (int p = warp * part + lane; p - lane < end; p += 32) {
      const int e = p < end ? ids[p] : -1;
      const uint32_t same = __match_any_sync(0xffffffffu, e);
      if (e >= 0) use(p, e, same);
      __syncwarp();
      if (e >= 0 && lane == __ffs(same) - 1) own[e] += __popc(same);
      __syncwarp();
    }
  };
  each_pair([](int, int, uint32_t) {});
  __syncthreads();
  for (int e = threadIdx.x; e < experts; e += kListWarps * 32) {
    int count = 0;
    for (int w = 0; w < kListWarps; ++w) {
      const int here = next[w * experts + e];
      next[w * experts + e] = count;
      count += here;
    }
    start[e + 1] = count;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    start[0] = 0;
    int jobs = 0;
    for (int e = 0; e < experts; ++e) {
      first_job[e] = jobs;
      jobs += (start[e + 1] + most_columns - 1) / most_columns;
      start[e + 1] += start[e];
    }
    *lists.n_jobs = jobs;
  }
  __syncthreads();
  each_pair([&](int p, int e, uint32_t same) {
    const int in_expert = own[e] + __popc(same & ((1u << lane) - 1));
    const int place = start[e] + in_expert;
    if (lists.weights) lists.weights[place] = route_weights[p];
    lists.token_at[place] = p / per_token;
    lists.place[p] = place;
    if (in_expert % most_columns == 0) {
      const int left = start[e + 1] - place;
      lists.jobs[first_job[e] + in_expert / most_columns] = {e, place, min(most_columns, left),
                                                             p / per_token};
    }
  });
}

// The same for at most kFewPairs pairs: a thread each, which looks at all others. All threads of a
// block.
__device__ void list_few(int pairs, int per_token, int most_columns, const int32_t* ids,
                         const float* route_weights, const ExpertLists& lists) {
  __shared__ int32_t expert[kFewPairs];  // of a pair
  __shared__ int32_t sorted[kFewPairs];  // of a place
  __shared__ int32_t token[kFewPairs];   // of a place
  __shared__ bool begins[kFewPairs];     // a job
  const int own = threadIdx.x;
  if (own < pairs) expert[own] = ids[own];
  __syncthreads();
  if (own < pairs) {
    int place = 0;
    for (int p = 0; p < pairs; ++p) {
      place += expert[p] < expert[own] || (expert[p] == expert[own] && p < own);
    }
    sorted[place] = expert[own];
    token[place] = own / per_token;
    if (lists.weights) lists.weights[place] = route_weights[own];
    lists.token_at[place] = own / per_token;
    lists.place[own] = place;
  }
  __syncthreads();
  int before = 0;  // places of the same expert
  int count = 0;
  if (own < pairs) {
    for (int p = 0; p < pairs; ++p) {
      if (sorted[p] != sorted[own]) continue;
      before += p < own;
      ++count;
    }
    begins[own] = before % most_columns == 0;
  }
  __syncthreads();
  if (own >= pairs) return;
  int job = 0;
  for (int p = 0; p < own; ++p) job += begins[p];
  if (begins[own]) {
    lists.jobs[job] = {sorted[own], own, min(most_columns, count - before), token[own]};
  }
  if (own == pairs - 1) *lists.n_jobs = job + begins[own];
}

__global__ void list_few_kernel(int pairs, int per_token, int most_columns, const int32_t* ids,
                                const float* route_weights, ExpertLists lists) {
  wait_for_inputs();
  list_few(pairs, per_token, most_columns, ids, route_weights, lists);
}

// Routing and lists of a step in one block.
__global__ void __launch_bounds__(kFewPairs)
    route_few_kernel(Routing r, int most_columns, float* logits, int32_t* ids, float* weights,
                     ExpertLists lists) {
  wait_for_inputs();
  extern __shared__ float score[];
  const int warp = threadIdx.x / 32;
  for (int token = warp; token < r.n; token += kFewPairs / 32) {
    route_token(r, token, score + warp * route_floats(r.experts, r.per_token), logits, ids,
                weights);
  }
  __syncthreads();
  list_few(r.n * r.per_token, r.per_token, most_columns, ids, weights, lists);
}

template <class V>
__global__ void combine_kernel(int per_token, int64_t d, const V* routed, const int32_t* place,
                               const V* shared, V* y) {
  wait_for_inputs();
  extern __shared__ int32_t order[];  // places of the token as they come, then ascending: by expert
  int32_t* found = order + per_token;
  const int64_t token = blockIdx.y;
  const int own = threadIdx.x;
  if (own < per_token) found[own] = place[token * per_token + own];
  __syncthreads();
  if (own < per_token) {
    int rank = 0;
    for (int j = 0; j < per_token; ++j) rank += found[j] < found[own];
    order[rank] = found[own];
  }
  __syncthreads();
  const int64_t k = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (k >= d) return;
  float sum = 0;
  for (int j = 0; j < per_token; ++j) sum += get(routed[order[j] * d + k]);
  y[token * d + k] = put<V>(sum + get(shared[token * d + k]));
}

template <class V>
__global__ void pair_norms_kernel(int64_t d, const V* routed, const int32_t* place, float* norms) {
  wait_for_inputs();
  const V* row = routed + place[blockIdx.x] * d;
  float sum = 0;
  for (int64_t k = threadIdx.x; k < d; k += kThreads) sum = fmaf(get(row[k]), get(row[k]), sum);
  sum = block_sum(sum);
  if (threadIdx.x == 0) norms[blockIdx.x] = sqrtf(sum);
}

}  // namespace

void route(Launch at, const Routing& r, float* logits, int32_t* ids, float* weights) {
  start(at, route_kernel, r.n, 32, static_cast<size_t>(route_floats(r.experts, r.per_token)) * 4, r,
        logits, ids, weights);
}

void route_few(Launch at, const Routing& r, int most_columns, float* logits, int32_t* ids,
               float* weights, const ExpertLists& lists) {
  const int warps = std::min(r.n, kFewPairs / 32);
  const auto shared = static_cast<size_t>(warps * route_floats(r.experts, r.per_token)) * 4;
  allow_shared(route_few_kernel, shared);
  start(at, route_few_kernel, 1, kFewPairs, shared, r, most_columns, logits, ids, weights, lists);
}

void list_experts(Launch at, int pairs, int per_token, int experts, int most_columns,
                  const int32_t* ids, const float* route_weights, const ExpertLists& lists) {
  if (pairs <= kFewPairs) {
    start(at, list_few_kernel, 1, blocks_for(pairs, 32) * 32, 0, pairs, per_token, most_columns,
          ids, route_weights, lists);
    return;
  }
  const auto shared = static_cast<size_t>((kListWarps + 2) * experts + 1) * 4;
  allow_shared(list_kernel, shared);
  start(at, list_kernel, 1, kListWarps * 32, shared, pairs, per_token, experts, most_columns, ids,
        route_weights, lists);
}

void pair_norms(Launch at, int pairs, int64_t d, const void* routed, const int32_t* place,
                float* norms) {
  with_values(at, [&](auto v) {
    using V = decltype(v);
    start(at, pair_norms_kernel<V>, pairs, kThreads, 0, d, static_cast<const V*>(routed), place,
          norms);
  });
}

void combine(Launch at, int n, int per_token, int64_t d, const void* routed, const int32_t* place,
             const void* shared, void* y) {
  with_values(at, [&](auto v) {
    using V = decltype(v);
    const dim3 grid(blocks_for(d, kThreads), static_cast<unsigned>(n));
    start(at, combine_kernel<V>, grid, kThreads, static_cast<size_t>(per_token) * 8, per_token, d,
          static_cast<const V*>(routed), place, static_cast<const V*>(shared), static_cast<V*>(y));
  });
}

}  // namespace ds4::ops::cuda

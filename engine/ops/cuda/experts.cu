// Routing by score or token id (model.md 3.7 steps 1-3), the lists that sort (token, slot) pairs by
// expert, and the final sum. No float atomics: every list and sum has one order.
#include <algorithm>

#include "engine/ops/cuda/launch.cuh"
#include "engine/ops/cuda/routing.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kListWarps = 32;

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

__global__ void list_few_kernel(int pairs, int per_token, int most_columns, const int32_t* ids,
                                const float* route_weights, ExpertLists lists) {
  wait_for_inputs();
  list_few(pairs, per_token, most_columns, ids, route_weights, lists);
}

// Routing and lists of a step in one block.
__global__ void __launch_bounds__(kFewPairs)
    route_few_kernel(const __grid_constant__ FewRouting routing) {
  wait_for_inputs();
  extern __shared__ float score[];
  route_and_list(routing, score);
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

size_t route_few_shared(const FewRouting& r) {
  const int warps = std::min(r.routing.n, kFewPairs / 32);
  return static_cast<size_t>(warps * route_floats(r.routing.experts, r.routing.per_token)) * 4;
}

void route_few(Launch at, const FewRouting& routing) {
  const size_t shared = route_few_shared(routing);
  allow_shared(route_few_kernel, shared);
  start(at, route_few_kernel, 1, kFewPairs, shared, routing);
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

// Routing by score or token id (model.md 3.7 steps 1-3), the lists that sort (token, slot) pairs by
// expert, and the final sum. No float atomics: every list and sum has one order.
#include "engine/ops/cuda/numeric.cuh"

namespace ds4::ops::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kListWarps = 32;

__device__ float sqrt_softplus(float x) {
  return sqrtf(x > 20 ? x : log1pf(expf(x)));
}

// A warp per token. Scores replace the logits.
__global__ void route_kernel(Routing r, float* logits, int32_t* ids, float* weights) {
  extern __shared__ float biased[];  // [experts]
  const int lane = threadIdx.x;
  const int64_t token = blockIdx.x;
  float* score = logits + token * r.experts;
  int32_t* chosen = ids + token * r.per_token;
  for (int e = lane; e < r.experts; e += 32) {
    const float s = sqrt_softplus(score[e]);
    score[e] = s;
    // The bias selects but never weighs.
    if (r.bias) biased[e] = s + r.bias[e];
  }
  __syncwarp();
  if (r.tid2eid) {
    const int32_t* row = r.tid2eid + int64_t{r.tokens[token]} * r.per_token;
    for (int j = lane; j < r.per_token; j += 32) chosen[j] = row[j];
  } else {
    for (int j = 0; j < r.per_token; ++j) {
      float best = -INFINITY;
      int at = r.experts;
      for (int e = lane; e < r.experts; e += 32) {
        if (biased[e] > best) {
          best = biased[e];
          at = e;
        }
      }
#pragma unroll
      for (int d = 16; d > 0; d /= 2) {
        const float other = __shfl_xor_sync(0xffffffffu, best, d);
        const int other_at = __shfl_xor_sync(0xffffffffu, at, d);
        if (other > best || (other == best && other_at < at)) {
          best = other;
          at = other_at;
        }
      }
      if (lane == 0) {
        // Only NaN scores leave nobody; any legal id will do then.
        chosen[j] = at < r.experts ? at : j;
        if (at < r.experts) biased[at] = -INFINITY;
      }
      __syncwarp();
    }
  }
  __syncwarp();
  if (lane != 0) return;
  float sum = 0;
  for (int j = 0; j < r.per_token; ++j) sum += score[chosen[j]];
  for (int j = 0; j < r.per_token; ++j) {
    const float s = score[chosen[j]];
    weights[token * r.per_token + j] = r.factor * (r.normalise ? s / sum : s);
  }
}

// One block; a warp counts and places the pairs of its experts by ballots over 32 pairs at a time.
__global__ void list_kernel(int pairs, int per_token, int experts, int most_columns,
                            const int32_t* ids, ExpertLists lists) {
  extern __shared__ int32_t start[];  // [experts + 1], then first job [experts]
  int32_t* first_job = start + experts + 1;
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  for (int e = warp; e < experts; e += kListWarps) {
    int count = 0;
    for (int p = 0; p < pairs; p += 32) {
      count += __popc(__ballot_sync(0xffffffffu, p + lane < pairs && ids[p + lane] == e));
    }
    if (lane == 0) start[e + 1] = count;
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
  for (int e = warp; e < experts; e += kListWarps) {
    int at = start[e];
    const int count = start[e + 1] - at;
    if (count == 0) continue;
    for (int j = lane; j * most_columns < count; j += 32) {
      lists.jobs[first_job[e] + j] = {e, at + j * most_columns,
                                      min(most_columns, count - j * most_columns)};
    }
    for (int p = 0; p < pairs; p += 32) {
      const bool mine = p + lane < pairs && ids[p + lane] == e;
      const uint32_t mask = __ballot_sync(0xffffffffu, mine);
      if (mine) {
        const int place = at + __popc(mask & ((1u << lane) - 1));
        lists.pair_at[place] = p + lane;
        lists.token_at[place] = (p + lane) / per_token;
        lists.place[p + lane] = place;
      }
      at += __popc(mask);
    }
  }
}

template <class V>
__global__ void combine_kernel(int per_token, int64_t d, const V* routed, const int32_t* place,
                               const V* shared, V* y) {
  extern __shared__ int32_t order[];  // places of the token, ascending: by expert id
  const int64_t token = blockIdx.y;
  if (threadIdx.x == 0) {
    for (int j = 0; j < per_token; ++j) {
      const int32_t p = place[token * per_token + j];
      int i = j;
      for (; i > 0 && order[i - 1] > p; --i) order[i] = order[i - 1];
      order[i] = p;
    }
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
  const V* row = routed + place[blockIdx.x] * d;
  float sum = 0;
  for (int64_t k = threadIdx.x; k < d; k += kThreads) sum = fmaf(get(row[k]), get(row[k]), sum);
  sum = block_sum(sum);
  if (threadIdx.x == 0) norms[blockIdx.x] = sqrtf(sum);
}

}  // namespace

void route(Launch at, const Routing& r, float* logits, int32_t* ids, float* weights) {
  route_kernel<<<r.n, 32, static_cast<size_t>(r.experts) * 4, at.stream>>>(r, logits, ids, weights);
}

void list_experts(Launch at, int pairs, int per_token, int experts, int most_columns,
                  const int32_t* ids, const ExpertLists& lists) {
  list_kernel<<<1, kListWarps * 32, static_cast<size_t>(2 * experts + 1) * 4, at.stream>>>(
      pairs, per_token, experts, most_columns, ids, lists);
}

void pair_norms(Launch at, int pairs, int64_t d, const void* routed, const int32_t* place,
                float* norms) {
  with_values(at, [&](auto v) {
    using V = decltype(v);
    pair_norms_kernel<V>
        <<<pairs, kThreads, 0, at.stream>>>(d, static_cast<const V*>(routed), place, norms);
  });
}

void combine(Launch at, int n, int per_token, int64_t d, const void* routed, const int32_t* place,
             const void* shared, void* y) {
  with_values(at, [&](auto v) {
    using V = decltype(v);
    const dim3 grid(blocks_for(d, kThreads), static_cast<unsigned>(n));
    combine_kernel<V><<<grid, kThreads, static_cast<size_t>(per_token) * 4, at.stream>>>(
        per_token, d, static_cast<const V*>(routed), place, static_cast<const V*>(shared),
        static_cast<V*>(y));
  });
}

}  // namespace ds4::ops::cuda

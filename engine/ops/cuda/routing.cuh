// Routing of a token by score or token id (model.md 3.7 steps 1-3) by one warp, and the lists of
// few pairs by one block: for kernels of their own or behind the product that makes the scores.
#pragma once

#include "engine/ops/cuda/numeric.cuh"

namespace ds4::ops::cuda {

__device__ inline float sqrt_softplus(float x) {
  return sqrtf(x > 20 ? x : log1pf(expf(x)));
}

// Larger scores have larger keys, both zeros the same; 0 for what is never chosen: NaN, -inf.
__device__ inline uint32_t key_of(float score) {
  const uint32_t bits = __float_as_uint(score + 0.0f);
  if (!(score > -INFINITY)) return 0;
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/// Floats of shared memory that a warp needs for a token.
__host__ __device__ constexpr int route_floats(int experts, int per_token) {
  return 2 * experts + per_token;
}

// A token by one warp. Scores replace the logits; `score` [route_floats] is shared memory.
__device__ inline void route_token(const Routing& r, int64_t token, float* score, float* logits,
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

// The lists of at most kFewPairs pairs: a thread each, which looks at all others. All threads of a
// block.
__device__ inline void list_few(int pairs, int per_token, int most_columns, const int32_t* ids,
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

/// Both for the tokens of a step, by a block of kFewPairs threads; `score`: route_few_shared()
/// bytes.
__device__ inline void route_and_list(const FewRouting& r, float* score) {
  const int warp = threadIdx.x / 32;
  const int floats = route_floats(r.routing.experts, r.routing.per_token);
  for (int token = warp; token < r.routing.n; token += kFewPairs / 32) {
    route_token(r.routing, token, score + warp * floats, r.logits, r.ids, r.weights);
  }
  __syncthreads();
  list_few(r.routing.n * r.routing.per_token, r.routing.per_token, r.most_columns, r.ids, r.weights,
           r.lists);
}

}  // namespace ds4::ops::cuda

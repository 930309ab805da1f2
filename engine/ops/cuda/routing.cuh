// Routing of a token by score or token id (model.md 3.7 steps 1-3): by one warp, with the lists of
// few pairs by one block, for kernels of their own or behind the product that makes the scores; or
// by each block of the kernel that needs it.
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
  __syncwarp();  // scores are read: the warp's next token may have them
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

/// A token's routing as each block makes it for itself.
struct RoutedHere {
  alignas(16) uint32_t keys[kRoutedExperts];
  float scores[kRoutedExperts];
  int32_t chosen[kRoutedSlots];   // of a slot
  int32_t experts[kRoutedSlots];  // of a place: ascending, ties by slot
  float weights[kRoutedSlots];    // of a place
};

// Warps of a block that keep step by a barrier of their own: `own` counts from their first thread.
struct Team {
  int barrier, threads, own;

  __device__ __forceinline__ void sync() const {
    asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
  }
};

// Token 0 by a team, the same ids and weights as route_token(): a key's rank is how many are before
// it. `stores`: into ids and weights too. Ends with the team in step.
__device__ inline void route_here(const FewRouting& f, RoutedHere& at, bool stores,
                                  const Team& team) {
  const Routing& r = f.routing;
  const int own = team.own;
  const int threads = team.threads;
  for (int e = own; e < (r.experts + 3) / 4 * 4; e += threads) {
    const float s = e < r.experts ? sqrt_softplus(__ldcg(f.logits + e)) : 0.0f;
    at.scores[e] = s;
    at.keys[e] = e < r.experts && r.bias ? key_of(s + __ldg(r.bias + e)) : 0;
  }
  // Of score layers: only NaN scores leave nobody; any legal id will do then.
  if (own < r.per_token) {
    at.chosen[own] = r.tid2eid ? r.tid2eid[int64_t{__ldcg(r.tokens)} * r.per_token + own] : own;
  }
  team.sync();
  if (!r.tid2eid) {
    constexpr int kParts = 2;  // threads that share the comparing
    const int lane = own % 32;
    for (int begin = own; begin - lane < r.experts * kParts; begin += threads) {
      const int e = begin / kParts;
      const uint32_t key = e < r.experts ? at.keys[e] : 0;
      int rank = 0;
#pragma unroll 8
      for (int q = begin % kParts; q < (r.experts + 3) / 4; q += kParts) {
        const uint4 k = reinterpret_cast<const uint4*>(at.keys)[q];
        // Not smaller in front, larger behind. Keys of 0 are never chosen, so none is 0 here.
        rank += k.x > key - (4 * q < e);
        rank += k.y > key - (4 * q + 1 < e);
        rank += k.z > key - (4 * q + 2 < e);
        rank += k.w > key - (4 * q + 3 < e);
      }
#pragma unroll
      for (int step = 1; step < kParts; step *= 2) {
        rank += __shfl_xor_sync(0xffffffffu, rank, step);
      }
      if (key != 0 && rank < r.per_token && begin % kParts == 0) at.chosen[rank] = e;
    }
    team.sync();
  }
  if (own < r.per_token) {
    const int expert = at.chosen[own];
    float sum = 0;
    int place = 0;
    for (int j = 0; j < r.per_token; ++j) {
      const int other = at.chosen[j];
      sum += at.scores[other];
      place += other < expert || (other == expert && j < own);
    }
    const float s = at.scores[expert];
    const float weight = r.factor * (r.normalise ? s / sum : s);
    at.experts[place] = expert;
    at.weights[place] = weight;
    if (stores) {
      f.ids[own] = expert;
      f.weights[own] = weight;
    }
  }
  team.sync();
}

}  // namespace ds4::ops::cuda

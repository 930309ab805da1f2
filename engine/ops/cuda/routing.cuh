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

// Warps of a block that keep step by a barrier of their own: `own` counts from their first thread.
struct Team {
  int barrier, threads, own;

  __device__ __forceinline__ void sync() const {
    asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
  }
};

/// A job of a few tokens: places first .. first + columns - 1 of an expert.
struct FewJob {
  int32_t expert, first, columns;
};
inline constexpr int kRoutedPairs = kFewColumns * kRoutedSlots;
/// A few tokens' routing as each block makes it for itself. Places: pairs by ascending expert, ties
/// by pair.
struct RoutedFew {
  alignas(16) int32_t order[kRoutedPairs];  // of a pair: by expert, then by pair
  int32_t chosen[kRoutedPairs];             // of a pair
  int32_t experts[kRoutedPairs];            // of a place
  int32_t tokens[kRoutedPairs];             // of a place
  float weights[kRoutedPairs];              // of a place
  FewJob jobs[kRoutedPairs];
  int32_t n_jobs;
};
/// Floats of shared memory that route_tokens() needs besides.
__host__ __device__ constexpr int route_tokens_floats(int n, int experts) {
  return 2 * n * ((experts + 3) / 4 * 4);
}

// Tokens by a team of at least kRoutedPairs threads, the same ids and weights as route_token(): a
// key's rank is how many are before it. n: that of the routing, perhaps known to the compiler.
// `stores`: ids, weights and places too. Ends with the team in step.
__device__ __forceinline__ void route_tokens(const FewRouting& f, int n, RoutedFew& at,
                                             float* scratch, bool stores, const Team& team) {
  const Routing& r = f.routing;
  const int own = team.own;
  const int stride = (r.experts + 3) / 4 * 4;
  const int pairs = n * r.per_token;
  const auto token_of = [&](int i) {  // i / stride
    int token = 0;
#pragma unroll
    for (int t = 1; t < kFewColumns; ++t) token += t < n && i >= t * stride;
    return token;
  };
  auto* keys = reinterpret_cast<uint32_t*>(scratch);  // [n][stride]
  float* scores = scratch + n * stride;               // [n][stride]
#pragma unroll 2
  for (int i = own; i < n * stride; i += team.threads) {
    const int token = token_of(i);
    const int e = i - token * stride;
    const float s = e < r.experts ? sqrt_softplus(__ldcg(f.logits + token * r.experts + e)) : 0.0f;
    scores[i] = s;
    keys[i] = e < r.experts && r.bias ? key_of(s + __ldg(r.bias + e)) : 0;
  }
  // Of score layers: only NaN scores leave nobody; any legal id will do then.
  const int own_token = own / r.per_token;
  const int own_slot = own - own_token * r.per_token;
  if (own < pairs) {
    at.chosen[own] = r.tid2eid
                         ? r.tid2eid[int64_t{__ldcg(r.tokens + own_token)} * r.per_token + own_slot]
                         : own_slot;
  }
  if (own < kRoutedPairs) at.order[own] = INT32_MAX;
  team.sync();
  if (!r.tid2eid) {
    constexpr int kParts = 2;  // threads that share the comparing
    const int lane = own % 32;
    for (int begin = own; begin - lane < n * stride * kParts; begin += team.threads) {
      const int i = min(begin / kParts, n * stride - 1);
      const int token = token_of(i);
      const int e = i - token * stride;
      const uint32_t key = keys[i];
      const auto* of_token = reinterpret_cast<const uint4*>(keys + token * stride);
      int rank = 0;
#pragma unroll 8
      for (int q = begin % kParts; q < stride / 4; q += kParts) {
        const uint4 k = of_token[q];
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
      if (key != 0 && rank < r.per_token && begin % kParts == 0) {
        at.chosen[token * r.per_token + rank] = e;
      }
    }
    team.sync();
  }
  float weight = 0;
  int expert = 0;
  if (own < pairs) {
    expert = at.chosen[own];
    const float* of_token = scores + own_token * stride;
    float sum = 0;
#pragma unroll
    for (int j = 0; j < kRoutedSlots; ++j) {
      if (j < r.per_token) sum += of_token[at.chosen[own_token * r.per_token + j]];
    }
    const float s = of_token[expert];
    weight = r.factor * (r.normalise ? s / sum : s);
    at.order[own] = expert * kRoutedPairs + own;
  }
  team.sync();
  if (own < pairs) {
    const int key = expert * kRoutedPairs + own;
    int place = 0;
#pragma unroll
    for (int q = 0; q < kRoutedPairs / 4; ++q) {
      if (4 * q >= pairs) break;
      const int4 other = reinterpret_cast<const int4*>(at.order)[q];
      place += (other.x < key) + (other.y < key) + (other.z < key) + (other.w < key);
    }
    at.experts[place] = expert;
    at.tokens[place] = own_token;
    at.weights[place] = weight;
    if (n == 1) at.jobs[place] = {expert, place, 1};
    if (n == 1 && own == 0) at.n_jobs = pairs;
    if (stores) {
      f.ids[own] = expert;
      f.weights[own] = weight;
      f.lists.place[own] = place;
    }
  }
  team.sync();
  if (n == 1) return;
  if (own < 32) {
    // A job's tokens ascend, so that it has n at most even if a table names an expert twice.
    const auto begins = [&](int p) {
      return p < pairs &&
             (p == 0 || at.experts[p] != at.experts[p - 1] || at.tokens[p] == at.tokens[p - 1]);
    };
    const uint64_t all = __ballot_sync(0xffffffffu, begins(own)) |
                         uint64_t{__ballot_sync(0xffffffffu, begins(own + 32))} << 32;
#pragma unroll
    for (int p = own; p < own + 64; p += 32) {
      if (p < pairs && all >> p & 1) {
        const uint64_t behind = all >> p >> 1;
        const int columns = behind ? __ffsll(static_cast<long long>(behind)) : pairs - p;
        at.jobs[__popcll(all & ((uint64_t{1} << p) - 1))] = {at.experts[p], p, columns};
      }
    }
    if (own == 0) at.n_jobs = __popcll(all);
  }
  team.sync();
}

}  // namespace ds4::ops::cuda

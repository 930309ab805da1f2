// Routing and the mixture of experts of the CUDA back end (model.md 3.7).
#include <algorithm>

#include "engine/base/check.h"
#include "engine/ops/cuda/backend.h"

namespace ds4::ops::cuda {

void CudaBackend::route(const weights::Moe& moe, const RouteSettings& settings, int n, Ids tokens,
                        Floats logits, Ids ids, Floats route_weights) {
  const auto experts = static_cast<int>(logits.cols);
  const bool hashed = !moe.tid2eid.empty();
  DS4_CHECK(moe.n_experts() == experts && ids.cols == settings.per_token &&
            route_weights.cols == settings.per_token);
  DS4_CHECK(hashed || settings.per_token <= experts);
  Routing routing;
  routing.n = n;
  routing.experts = experts;
  routing.per_token = settings.per_token;
  routing.normalise = settings.normalise;
  routing.factor = settings.factor;
  routing.tokens = ints(tokens);
  if (hashed) {
    routing.tid2eid = weights_.vector(std::span(moe.tid2eid));
  } else {
    routing.bias = weights_.vector(std::span(moe.bias));
  }
  cuda::route(begin(), routing, floats(logits), ints(ids), floats(route_weights));
  check_launches();
}

std::byte* CudaBackend::run_stack(const ExpertStack& stack, const Columns& up, const Columns& down,
                                  int64_t x_rows, int64_t rows, const void* x,
                                  const float* route_weights, const int32_t* pair_at, float limit) {
  std::byte* gate_up = take_values(rows * 2 * stack.inter);
  std::byte* part = gate_up;
  for (const Product& product : stack.up) {
    multiply(product, up, x_rows, x, true, part, 2 * stack.inter);
    part += product.rows * value_bytes();
  }
  std::byte* hidden = take_values(rows * stack.inter);
  swiglu(at_, gate_up, rows, stack.inter, route_weights, pair_at, limit, hidden);
  check_launches();
  std::byte* out = take_values(rows * stack.down.rows);
  multiply(stack.down, down, rows, hidden, true, out, stack.down.rows);
  return out;
}

CudaBackend::Routed CudaBackend::run_routed(const weights::Moe& moe, float limit, int per_token,
                                            int n, const void* x, const int32_t* ids,
                                            const float* route_weights) {
  const ExpertStack& stack = weights_.experts(moe.experts);
  const int pairs = n * per_token;
  const int experts = moe.n_experts();
  Routed routed;
  ExpertLists& lists = routed.lists;
  lists.jobs = arena_.take<Job>(pairs + experts);
  lists.n_jobs = arena_.take<int32_t>(1);
  lists.pair_at = arena_.take<int32_t>(pairs);
  lists.token_at = arena_.take<int32_t>(pairs);
  lists.place = arena_.take<int32_t>(pairs);
  Columns columns;
  columns.columns = n <= 2 * kFewColumns ? kFewColumns : kManyColumns;
  columns.jobs = lists.jobs;
  columns.n_jobs = lists.n_jobs;
  columns.most_jobs = std::min(pairs, experts + pairs / columns.columns);
  list_experts(at_, pairs, per_token, experts, columns.columns, ids, lists);
  check_launches();
  Columns up = columns;
  up.x_rows = lists.token_at;
  routed.out = run_stack(stack, up, columns, n, pairs, x, route_weights, lists.pair_at, limit);
  return routed;
}

void CudaBackend::experts(const weights::Moe& moe, float swiglu_limit, int per_token, int n,
                          Values x, Ids ids, Floats route_weights, Values y) {
  begin();
  const Routed routed =
      run_routed(moe, swiglu_limit, per_token, n, x.data, ints(ids), floats(route_weights));
  Columns every;
  every.columns = n;
  const std::byte* shared = run_stack(weights_.shared(moe.shared), every, every, n, n, x.data,
                                      nullptr, nullptr, swiglu_limit);
  combine(at_, n, per_token, x.cols, routed.out, routed.lists.place, shared, y.data);
  check_launches();
}

void CudaBackend::expert_norms(const weights::Moe& moe, float swiglu_limit, int per_token, int n,
                               Values x, Ids ids, Floats norms) {
  begin();
  const Routed routed = run_routed(moe, swiglu_limit, per_token, n, x.data, ints(ids), nullptr);
  pair_norms(at_, n * per_token, x.cols, routed.out, routed.lists.place, floats(norms));
  check_launches();
}

}  // namespace ds4::ops::cuda

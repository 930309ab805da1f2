// Routing and the mixture of experts of the CUDA back end (model.md 3.7).
#include <algorithm>
#include <array>

#include "engine/base/check.h"
#include "engine/ops/cuda/backend.h"

namespace ds4::ops::cuda {

namespace {

// Columns of a job for n tokens.
int most_columns(int n) {
  return n <= kHereColumns ? n : n <= kStepRows ? kFewColumns : kManyColumns;
}

}  // namespace

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
  FewRouting few;
  few.routing = routing;
  few.most_columns = most_columns(n);
  few.logits = floats(logits);
  few.ids = ints(ids);
  few.weights = floats(route_weights);
  if (n > kStepRows || n * settings.per_token > kFewPairs) {
    cuda::route(begin(), routing, few.logits, few.ids, few.weights);
    return check_launches();
  }
  auto* bytes = listed_.memory.data();
  const auto next = [&]<class T>(T*& piece) {
    piece = reinterpret_cast<T*>(bytes);
    bytes += kFewPairs * sizeof(T);
  };
  next(few.lists.jobs);
  next(few.lists.n_jobs);
  next(few.lists.token_at);
  next(few.lists.weights);
  next(few.lists.place);
  Finish finish;
  finish.kind = Finish::kRoute;
  finish.part = experts;
  finish.routing = few;
  if (finish_products(logits.data, finish)) {
    const device::Range range("route");
  } else {
    const Ready ready = ready_;
    Sides sides;
    const Operation at = begin_beside(sides, "route");
    ready_ = ready;  // nothing writes x
    if (sides.only(Sides::kDots)) {
      sides_ = sides;
    } else {
      launch(sides);
    }
    route_few(at, few);
    check_launches();
  }
  listed_.lists = few.lists;
  listed_.ids = ids.data;
  listed_.weights = route_weights.data;
  listed_.n = n;
}

CudaBackend::StackRun CudaBackend::prepare(const ExpertStack& stack, int64_t x_rows, int64_t rows,
                                           const void* x) {
  StackRun run;
  run.stack = &stack;
  run.x_rows = x_rows;
  run.rows = rows;
  run.x.values = x;
  run.gate_up = take_values(rows * 2 * stack.inter);
  run.hidden.values = run.gate_up;
  run.hidden.gated = true;
  run.out = take_values(rows * stack.down.rows);
  return run;
}

CudaBackend::StackRun CudaBackend::prepare_routed(const weights::Moe& moe, float limit,
                                                  int per_token, int n, const void* x,
                                                  const int32_t* ids, const float* route_weights,
                                                  ExpertLists& lists) {
  const int pairs = n * per_token;
  const int experts = moe.n_experts();
  Columns columns;
  columns.columns = most_columns(n);
  if (!lists.jobs) {
    lists.jobs = arena_.take<Job>(pairs + experts);
    lists.n_jobs = arena_.take<int32_t>(1);
    lists.token_at = arena_.take<int32_t>(pairs);
    if (route_weights) lists.weights = arena_.take<float>(pairs);
    lists.place = arena_.take<int32_t>(pairs);
    list_experts(at_, pairs, per_token, experts, columns.columns, ids, route_weights, lists);
    check_launches();
  }
  columns.jobs = lists.jobs;
  columns.n_jobs = lists.n_jobs;
  columns.most_jobs = std::min(pairs, experts + pairs / columns.columns);
  StackRun run = prepare(weights_.experts(moe.experts), n, pairs, x);
  run.up = columns;
  run.up.x_rows = lists.token_at;
  run.down = columns;
  run.hidden.limit = limit;
  run.hidden.weights = lists.weights;
  return run;
}

void CudaBackend::run(const StackRun& run) {
  std::byte* part = run.gate_up;
  for (const Product& product : run.stack->up) {
    multiply(product, run.up, run.x_rows, run.x, true, part, 2 * run.stack->inter);
    part += product.rows * value_bytes();
  }
  multiply(run.stack->down, run.down, run.rows, run.hidden, true, run.out, run.stack->down.rows);
}

Task CudaBackend::up_task(const StackRun& run, const Ready& ready) {
  const Tiles& tiles = run.stack->up[0].tiles;
  Input x = ready.input(arrange_of(tiles.feed), run.x.values, static_cast<int>(run.x_rows));
  if (!arranges_here(tiles, run.up)) arrange_input(tiles, run.up, run.x_rows, x);
  return {tiles, run.up, x, run.gate_up, 2 * run.stack->inter, true};
}

void CudaBackend::run(const StackRun& routed, const StackRun& shared, const Sides& sides,
                      const Ready& ready) {
  const auto pairs = [](const Product& a, const Columns& of_a, const Product& b,
                        const Columns& of_b) {
    return a.tiled && b.tiled && a.tiles.feed == Feed::kFp4Planes &&
           (b.tiles.feed == Feed::kFp8E4m3 || b.tiles.feed == Feed::kFp8F16) &&
           of_a.columns <= kFewColumns && of_b.columns <= kFewColumns;
  };
  const ExpertStack& a = *routed.stack;
  const ExpertStack& b = *shared.stack;
  if (!pairs(a.up[0], routed.up, b.up[0], shared.up) ||
      !pairs(a.down, routed.down, b.down, shared.down)) {
    launch_products();
    launch(sides);
    run(routed);
    run(shared);
    return;
  }
  const auto down = [](const StackRun& run) {
    return Task{run.stack->down.tiles, run.down, run.hidden, run.out, run.stack->down.rows, true};
  };
  // The shared expert's beside the routing, which takes longer than the bytes of its weights.
  const Task first = up_task(shared, ready);
  const Task second = up_task(routed, ready);
  wait_with(first, {});
  products_.sides = sides;
  launch_products();
  few_columns_product(at_, second, {});
  Task last[] = {down(routed), down(shared)};
  // Gated values cost too much to be made again by every block.
  const Arranging words = arranging(Arrange::kF16Words, routed.rows, last[0].tiles.cols, last[0].x);
  const Arranging codes =
      arranging(arrange_of(last[1].tiles.feed), shared.rows, last[1].tiles.cols, last[1].x);
  arrange_both(at_, words, codes);
  few_columns_set(at_, last, std::array<Finish, 2>{}, std::exchange(sides_, {}));
  check_launches();
}

bool CudaBackend::run_few_tokens(const weights::Moe& moe, float limit, int per_token, int n,
                                 Values x, Values y, const Sides& sides, const Ready& ready) {
  const ExpertStack& routed = weights_.experts(moe.experts);
  const ExpertStack& of_shared = weights_.shared(moe.shared);
  for (const ExpertStack* stack : {&routed, &of_shared}) {
    if (stack->up.size() > 1 || !stack->up[0].tiled || !stack->down.tiled) return false;
  }
  FewTokens work;
  work.routing = products_.finishes[0].routing;
  work.up = routed.up[0].tiles;
  work.down = routed.down.tiles;
  work.shared_up = of_shared.up[0].tiles;
  work.shared_down = of_shared.down.tiles;
  work.x = ready.codes(x.data, n);
  work.limit = limit;
  work.y = y.data;
  if (!can_few_tokens(work)) return false;
  const int64_t pairs = int64_t{n} * per_token;
  work.hidden = take_values((pairs + n) * routed.inter);
  if (n > 1) {
    work.routed_y = take_values(pairs * x.cols);
    work.shared_y = take_values(n * x.cols);
  }
  products_.finishes[0] = {};
  products_.sides = sides;
  launch_products();
  few_tokens_up(at_, work);
  few_tokens_down(at_, work, std::exchange(sides_, {}));
  check_launches();
  if (n > 1) {
    const int32_t* place = work.routing.lists.place;
    waiting_.parts = {y.data, nullptr, work.routed_y, place, work.shared_y, per_token};
    waiting_.n = n;
    waiting_.d = x.cols;
  }
  return true;
}

void CudaBackend::experts(const weights::Moe& moe, float swiglu_limit, int per_token, int n,
                          Values x, Ids ids, Floats route_weights, Values y) {
  ExpertLists lists;
  if (listed_.ids == ids.data && listed_.weights == route_weights.data && listed_.n == n)
    lists = listed_.lists;
  const Ready ready = ready_;
  const bool beside_routing = products_.tasks.size() == 1 && products_.sides.blocks() == 0 &&
                              products_.finishes[0].kind == Finish::kRoute &&
                              products_.finishes[0].routing.ids == ints(ids);
  Sides sides;
  const Operation at =
      beside_routing ? begin_with_products(sides, "experts") : begin_beside(sides, "experts");
  if (beside_routing && run_few_tokens(moe, swiglu_limit, per_token, n, x, y, sides, ready)) return;
  const StackRun routed = prepare_routed(moe, swiglu_limit, per_token, n, x.data, ints(ids),
                                         floats(route_weights), lists);
  StackRun shared = prepare(weights_.shared(moe.shared), n, n, x.data);
  shared.up.columns = n;
  shared.down.columns = n;
  shared.hidden.limit = swiglu_limit;
  run(routed, shared, sides, ready);
  waiting_.parts = {y.data, nullptr, routed.out, lists.place, shared.out, per_token};
  waiting_.n = n;
  waiting_.d = x.cols;
  if (n > kStepRows || per_token > kMostPerToken) launch_leaving();
}

void CudaBackend::expert_norms(const weights::Moe& moe, float swiglu_limit, int per_token, int n,
                               Values x, Ids ids, Floats norms) {
  const Operation at = begin();
  ExpertLists lists;
  const StackRun routed =
      prepare_routed(moe, swiglu_limit, per_token, n, x.data, ints(ids), nullptr, lists);
  run(routed);
  pair_norms(at, n * per_token, x.cols, routed.out, lists.place, floats(norms));
  check_launches();
}

}  // namespace ds4::ops::cuda

// Routing and the mixture of experts of the CPU back end (model.md 3.7).
#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/base/check.h"
#include "engine/ops/cpu/backend.h"

namespace ds4::ops::cpu {
namespace {

float sqrt_softplus(float x) {
  return std::sqrt(x > 20 ? x : std::log1p(std::exp(x)));
}

}  // namespace

void CpuBackend::route(const weights::Moe& moe, const RouteSettings& settings, int n, Ids tokens,
                       Floats logits, Ids ids, Floats route_weights) {
  const int64_t n_experts = logits.cols;
  const int64_t k = settings.per_token;
  DS4_CHECK(moe.n_experts() == n_experts && ids.cols == k && route_weights.cols == k);
  const bool hashed = !moe.tid2eid.empty();
  DS4_CHECK(hashed || k <= n_experts);
  pool_.run(n, n * n_experts * 40, [&](int64_t i, int) {
    float* score = floats(logits) + i * n_experts;
    for (int64_t e = 0; e < n_experts; ++e) score[e] = sqrt_softplus(score[e]);
    int32_t* chosen = ints(ids) + i * k;
    if (hashed) {
      std::copy_n(moe.tid2eid.data() + ints(tokens)[i] * k, k, chosen);
    } else {
      // The bias selects but never weighs (T12).
      const auto biased = [&](int32_t e) { return score[e] + moe.bias[static_cast<size_t>(e)]; };
      std::vector<int32_t> order(static_cast<size_t>(n_experts));
      std::iota(order.begin(), order.end(), 0);
      std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](int32_t a, int32_t b) {
        const float sa = biased(a);
        const float sb = biased(b);
        return sa != sb ? sa > sb : a < b;
      });
      std::copy_n(order.begin(), k, chosen);
    }
    float sum = 0;
    for (int64_t j = 0; j < k; ++j) sum += score[chosen[j]];
    float* weight = floats(route_weights) + i * k;
    for (int64_t j = 0; j < k; ++j) {
      const float s = score[chosen[j]];
      weight[j] = settings.factor * (settings.normalise ? s / sum : s);
    }
  });
}

CpuBackend::ExpertRows CpuBackend::run_experts(const weights::Moe& moe, float swiglu_limit, int k,
                                               int n, Values x, Ids ids, const float* route_weights,
                                               bool with_shared) {
  const int64_t d = x.cols;
  const int64_t n_pairs = int64_t{n} * k;
  const int64_t n_shared = with_shared ? n : 0;
  const int64_t inter = moe.experts[0].w1.rows;
  const int64_t shared_inter = moe.shared.w1.rows;
  const int32_t* id = ints(ids);

  // Pairs (token, slot) sorted by expert; the shared expert follows with every token.
  std::vector<int64_t> start(moe.experts.size() + 1, 0);
  for (int64_t p = 0; p < n_pairs; ++p) ++start[static_cast<size_t>(id[p]) + 1];
  std::partial_sum(start.begin(), start.end(), start.begin());
  std::vector<int64_t> pair_at(static_cast<size_t>(n_pairs));  // sorted place -> pair
  std::vector<int64_t> place(static_cast<size_t>(n_pairs));    // pair -> sorted place
  std::vector<int64_t> next(start.begin(), start.end() - 1);
  for (int64_t p = 0; p < n_pairs; ++p) {
    const int64_t at = next[static_cast<size_t>(id[p])]++;
    pair_at[static_cast<size_t>(at)] = p;
    place[static_cast<size_t>(p)] = at;
  }

  // Rows of x in both forms; which one a matrix wants follows from its stored format.
  const float* const* quantised = prepare(prepared_, floats(x), n, d, d, strict_);
  const float* const* plain = prepare(prepared_plain_, floats(x), n, d, d, false);
  std::vector<const float*> quantised_pairs(static_cast<size_t>(n_pairs));
  std::vector<const float*> plain_pairs(static_cast<size_t>(n_pairs));
  for (int64_t at = 0; at < n_pairs; ++at) {
    const int64_t token = pair_at[static_cast<size_t>(at)] / k;
    quantised_pairs[static_cast<size_t>(at)] = quantised[token];
    plain_pairs[static_cast<size_t>(at)] = plain[token];
  }

  float* gate = shared_[0].floats(n_pairs * inter + n_shared * shared_inter);
  float* up = shared_[1].floats(n_pairs * inter + n_shared * shared_inter);
  float* shared_gate = gate + n_pairs * inter;
  float* shared_up = up + n_pairs * inter;
  std::vector<MatmulJob> jobs;
  const auto add_job = [&](const weights::Matrix& w, const float* const* rows, int64_t m,
                           float* to) {
    if (m) jobs.push_back({&w, 0, w.rows, rows, m, strict_, to, w.rows});
  };
  for (size_t e = 0; e < moe.experts.size(); ++e) {
    const weights::Expert& expert = moe.experts[e];
    const int64_t at = start[e];
    const int64_t m = start[e + 1] - at;
    const auto rows = [&](const weights::Matrix& w) {
      return (w.quantised() ? quantised_pairs : plain_pairs).data() + at;
    };
    add_job(expert.w1, rows(expert.w1), m, gate + at * inter);
    add_job(expert.w3, rows(expert.w3), m, up + at * inter);
  }
  add_job(moe.shared.w1, moe.shared.w1.quantised() ? quantised : plain, n_shared, shared_gate);
  add_job(moe.shared.w3, moe.shared.w3.quantised() ? quantised : plain, n_shared, shared_up);
  run(jobs);

  // Activation and its preparation for w2; the route weight enters here, before w2 (T13).
  const int64_t hidden_pad = padded(inter);
  const int64_t shared_pad = padded(shared_inter);
  float* hidden = shared_[2].floats(n_pairs * hidden_pad + n_shared * shared_pad);
  float* shared_hidden = hidden + n_pairs * hidden_pad;
  pool_.run(n_pairs + n_shared, (n_pairs * inter + n_shared * shared_inter) * 10,
            [&](int64_t i, int) {
              const bool routed = i < n_pairs;
              const int64_t row = routed ? i : i - n_pairs;
              const int64_t width = routed ? inter : shared_inter;
              float* g = (routed ? gate : shared_gate) + row * width;
              const float* u = (routed ? up : shared_up) + row * width;
              const int64_t pair = routed ? pair_at[static_cast<size_t>(row)] : 0;
              const weights::Matrix& down =
                  routed ? moe.experts[static_cast<size_t>(id[pair])].w2 : moe.shared.w2;
              swiglu(g, u, routed && route_weights ? route_weights[pair] : 1.0f, swiglu_limit,
                     width, strict_, g);
              prepare_row(g, width, weights::kFp8Block, strict_ && down.quantised(),
                          routed ? hidden + row * hidden_pad : shared_hidden + row * shared_pad);
            });

  float* out = shared_[3].floats((n_pairs + n_shared) * d);
  float* shared_out = out + n_pairs * d;
  std::vector<const float*> hidden_rows(static_cast<size_t>(n_pairs + n_shared));
  for (int64_t i = 0; i < n_pairs; ++i) {
    hidden_rows[static_cast<size_t>(i)] = hidden + i * hidden_pad;
  }
  for (int64_t i = 0; i < n_shared; ++i) {
    hidden_rows[static_cast<size_t>(n_pairs + i)] = shared_hidden + i * shared_pad;
  }
  jobs.clear();
  for (size_t e = 0; e < moe.experts.size(); ++e) {
    add_job(moe.experts[e].w2, hidden_rows.data() + start[e], start[e + 1] - start[e],
            out + start[e] * d);
  }
  add_job(moe.shared.w2, hidden_rows.data() + n_pairs, n_shared, shared_out);
  run(jobs);

  return {std::move(place), out, shared_out};
}

void CpuBackend::experts(const weights::Moe& moe, float swiglu_limit, int per_token, int n,
                         Values x, Ids ids, Floats route_weights, Values y) {
  const int64_t d = x.cols;
  const int64_t k = per_token;
  const ExpertRows rows = run_experts(moe, swiglu_limit, per_token, n, x, ids,
                                      floats(route_weights), /*with_shared=*/true);
  pool_.run(n, (k + 1) * n * d, [&](int64_t i, int) {
    std::vector<int64_t> places(rows.place.begin() + i * k, rows.place.begin() + (i + 1) * k);
    std::sort(places.begin(), places.end());  // ascending expert id
    float* sum = floats(y) + i * d;
    std::fill(sum, sum + d, 0.0f);
    for (const int64_t at : places) add_to(rows.routed + at * d, d, sum);
    add_to(rows.shared + i * d, d, sum);
    if (strict_) round_bf16(sum, d);
  });
}

void CpuBackend::expert_norms(const weights::Moe& moe, float swiglu_limit, int per_token, int n,
                              Values x, Ids ids, Floats norms) {
  const int64_t d = x.cols;
  const int64_t n_pairs = int64_t{n} * per_token;
  const ExpertRows rows =
      run_experts(moe, swiglu_limit, per_token, n, x, ids, nullptr, /*with_shared=*/false);
  pool_.run(n_pairs, n_pairs * d, [&](int64_t pair, int) {
    const float* out = rows.routed + rows.place[static_cast<size_t>(pair)] * d;
    double squares = 0;
    for (int64_t c = 0; c < d; ++c) squares += double{out[c]} * out[c];
    floats(norms)[pair] = static_cast<float>(std::sqrt(squares));
  });
}

}  // namespace ds4::ops::cpu

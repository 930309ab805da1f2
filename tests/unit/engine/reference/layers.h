// The operations that look at one token at a time, in float64 (model.md 3.0-3.2, 3.7, 3.8, 5):
// norms, products, hyper-connections, routing, experts, head and drafting. Plain loops, nothing
// shared with the engine.
#pragma once

#include <span>
#include <vector>

#include "engine/ops/ops.h"
#include "tests/unit/engine/reference/formats.h"

namespace ds4::reference {

using Rows = std::vector<Row>;

/// W x of several x at once, sums settled. `quantise`: x goes through Q8 first (strict only).
Rows product(const Arithmetic& a, const weights::Matrix& w, const Rows& x, bool quantise);
/// The same for rows [first, first + count) of W.
Rows product(const Arithmetic& a, const weights::Matrix& w, const Rows& x, bool quantise,
             int64_t first, int64_t count);
/// L8, L4 or LB by the format of W.
Rows linear(const Arithmetic& a, const weights::Matrix& w, const Rows& x);

Row rms(const Arithmetic& a, const Row& x, std::span<const float> gain, double eps);

/// Coefficients around a sublayer, C[source][destination] behind pre and post as mix_in lays them.
Row mix_coefficients(const Arithmetic& a, const weights::HyperConnection& hc,
                     const ops::MixSettings& settings, const Row& h);
/// bf(sum_j pre[j] h_j).
Row reduce_streams(const Arithmetic& a, std::span<const double> pre, const Row& h);
/// h behind the sublayer.
Row mix_out(const Arithmetic& a, int streams, const Row& y, const Row& mix, const Row& h);
Row head_coefficients(const Arithmetic& a, const weights::HeadMix& hc,
                      const ops::MixSettings& settings, const Row& h);

struct Route {
  std::vector<int> ids;  // ascending
  Row weights;           // of each
};
/// `fixed`: the ids of a hash layer, else empty.
Route route(const Arithmetic& a, const ops::RouteSettings& settings, const Row& logits,
            std::span<const float> bias, std::vector<int> fixed);

/// w2 of bf(weight * swiglu).
Row expert(const Arithmetic& a, const weights::Expert& e, double limit, double weight,
           const Row& x);
Row experts(const Arithmetic& a, const weights::Moe& moe, double limit, std::span<const int> ids,
            std::span<const double> weights, const Row& x);

/// e [d] and h [streams * d] of each token.
Rows mtp_input(const Arithmetic& a, const weights::ClassicMtp& mtp, double eps, const Rows& e,
               const Rows& h);
Row mean_streams(const Arithmetic& a, int streams, const Row& h);

}  // namespace ds4::reference

#include "tests/unit/engine/reference/layers.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ds4::reference {
namespace {

double mean_square(const Arithmetic& a, const Row& x) {
  double sum = 0;
  for (const double v : x) sum += v * v;
  return a.settle(a.settle(sum) / static_cast<double>(x.size()));
}

double inverse_root(const Arithmetic& a, double mean, double eps) {
  return a.settle(1 / std::sqrt(a.settle(mean + a.settle(eps))));
}

double sigmoid(const Arithmetic& a, double x) {
  return a.settle(1 / (1 + std::exp(-x)));
}

// (F v) * r of model.md 3.2 step 1.
Row scores(const Arithmetic& a, const weights::Matrix& fn, double norm_eps, const Row& h) {
  Row m = product(a, fn, {h}, false)[0];
  const double r = inverse_root(a, mean_square(a, h), norm_eps);
  for (double& v : m) v = a.settle(v * r);
  return m;
}

double affine(const Arithmetic& a, double m, float scale, float base) {
  return a.settle(a.settle(m * double{scale}) + double{base});
}

using Square = std::vector<Row>;

void divide_columns(const Arithmetic& a, double eps, Square& c) {
  for (size_t k = 0; k < c.size(); ++k) {
    double sum = 0;
    for (const Row& row : c) sum += row[k];
    const double by = a.settle(a.settle(sum) + eps);
    for (Row& row : c) row[k] = a.settle(row[k] / by);
  }
}

void divide_rows(const Arithmetic& a, double eps, Square& c) {
  for (Row& row : c) {
    const double by = a.settle(a.settle(std::accumulate(row.begin(), row.end(), 0.0)) + eps);
    for (double& v : row) v = a.settle(v / by);
  }
}

}  // namespace

Rows product(const Arithmetic& a, const weights::Matrix& w, const Rows& x, bool quantise) {
  return product(a, w, x, quantise, 0, w.rows);
}

Rows product(const Arithmetic& a, const weights::Matrix& w, const Rows& x, bool quantise,
             int64_t first, int64_t count) {
  Rows ready = x;
  if (quantise && a.strict) {
    for (Row& row : ready) row = q8(row, 128);
  }
  Rows y(x.size(), Row(static_cast<size_t>(count)));
  for (int64_t r = 0; r < count; ++r) {
    const Row row = matrix_row(w, first + r);
    for (size_t i = 0; i < x.size(); ++i) {
      const double sum = std::inner_product(row.begin(), row.end(), ready[i].begin(), 0.0);
      y[i][static_cast<size_t>(r)] = a.settle(sum);
    }
  }
  return y;
}

Rows linear(const Arithmetic& a, const weights::Matrix& w, const Rows& x) {
  using Format = weights::Matrix::Format;
  Rows y = product(a, w, x, w.format == Format::kFp8 || w.format == Format::kFp4);
  for (Row& row : y) row = a.bf(row);
  return y;
}

Row rms(const Arithmetic& a, const Row& x, std::span<const float> gain, double eps) {
  const double r = inverse_root(a, mean_square(a, x), eps);
  Row y(x.size());
  for (size_t i = 0; i < x.size(); ++i) y[i] = a.bf(double{gain[i]} * a.settle(x[i] * r));
  return y;
}

Row mix_coefficients(const Arithmetic& a, const weights::HyperConnection& hc,
                     const ops::MixSettings& settings, const Row& h) {
  const auto n = static_cast<size_t>(settings.streams);
  const double eps = a.settle(settings.mix_eps);
  const Row m = scores(a, hc.fn, settings.norm_eps, h);
  Row mix(n * (n + 2));
  for (size_t j = 0; j < n; ++j) {
    mix[j] = a.settle(sigmoid(a, affine(a, m[j], hc.scale[0], hc.base[j])) + eps);
    mix[n + j] = 2 * sigmoid(a, affine(a, m[n + j], hc.scale[1], hc.base[n + j]));
  }
  Square c(n, Row(n));
  for (size_t j = 0; j < n; ++j) {
    for (size_t k = 0; k < n; ++k) {
      const size_t at = 2 * n + n * j + k;
      c[j][k] = affine(a, m[at], hc.scale[2], hc.base[at]);
    }
    const double most = *std::max_element(c[j].begin(), c[j].end());
    for (double& v : c[j]) v = a.settle(std::exp(a.settle(v - most)));
  }
  divide_rows(a, 0, c);
  for (Row& row : c) {
    for (double& v : row) v = a.settle(v + eps);
  }
  divide_columns(a, eps, c);
  for (int i = 1; i < settings.sinkhorn_iterations; ++i) {
    divide_rows(a, eps, c);
    divide_columns(a, eps, c);
  }
  for (size_t j = 0; j < n; ++j)
    std::copy(c[j].begin(), c[j].end(), mix.begin() + static_cast<std::ptrdiff_t>(2 * n + n * j));
  return mix;
}

Row reduce_streams(const Arithmetic& a, std::span<const double> pre, const Row& h) {
  const size_t d = h.size() / pre.size();
  Row x(d);
  for (size_t i = 0; i < d; ++i) {
    double sum = 0;
    for (size_t j = 0; j < pre.size(); ++j) sum += pre[j] * h[j * d + i];
    x[i] = a.bf(sum);
  }
  return x;
}

Row mix_out(const Arithmetic& a, int streams, const Row& y, const Row& mix, const Row& h) {
  const auto n = static_cast<size_t>(streams);
  const size_t d = y.size();
  Row out(h.size());
  for (size_t k = 0; k < n; ++k) {
    for (size_t i = 0; i < d; ++i) {
      double sum = mix[n + k] * y[i];
      for (size_t j = 0; j < n; ++j) sum += mix[2 * n + n * j + k] * h[j * d + i];
      out[k * d + i] = a.bf(sum);
    }
  }
  return out;
}

Row head_coefficients(const Arithmetic& a, const weights::HeadMix& hc,
                      const ops::MixSettings& settings, const Row& h) {
  Row m = scores(a, hc.fn, settings.norm_eps, h);
  for (size_t j = 0; j < m.size(); ++j) {
    m[j] =
        a.settle(sigmoid(a, affine(a, m[j], hc.scale[0], hc.base[j])) + a.settle(settings.mix_eps));
  }
  return m;
}

Route route(const Arithmetic& a, const ops::RouteSettings& settings, const Row& logits,
            std::span<const float> bias, std::vector<int> fixed) {
  Row score(logits.size());
  for (size_t e = 0; e < logits.size(); ++e) {
    const double softplus = logits[e] > 20 ? logits[e] : a.settle(std::log1p(std::exp(logits[e])));
    score[e] = a.settle(std::sqrt(softplus));
  }
  Route chosen;
  if (fixed.empty()) {
    std::vector<int> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    const auto biased = [&](int e) {
      const auto i = static_cast<size_t>(e);
      return a.settle(score[i] + double{bias[i]});
    };
    std::stable_sort(order.begin(), order.end(),
                     [&](int left, int right) { return biased(left) > biased(right); });
    fixed.assign(order.begin(), order.begin() + settings.per_token);
  }
  std::sort(fixed.begin(), fixed.end());
  double sum = 0;
  for (const int id : fixed) sum += score[static_cast<size_t>(id)];
  for (const int id : fixed) {
    double w = score[static_cast<size_t>(id)];
    if (settings.normalise) w = a.settle(w / a.settle(sum));
    chosen.weights.push_back(a.settle(w * double{settings.factor}));
  }
  chosen.ids = std::move(fixed);
  return chosen;
}

Row expert(const Arithmetic& a, const weights::Expert& e, double limit, double weight,
           const Row& x) {
  const Row gate = linear(a, e.w1, {x})[0];
  const Row up = linear(a, e.w3, {x})[0];
  Row hidden(gate.size());
  for (size_t i = 0; i < hidden.size(); ++i) {
    const double g = std::min(gate[i], limit);
    const double u = std::clamp(up[i], -limit, limit);
    const double silu = a.settle(g / (1 + std::exp(-g)));
    hidden[i] = a.bf(weight * a.settle(silu * u));
  }
  return linear(a, e.w2, {hidden})[0];
}

Row experts(const Arithmetic& a, const weights::Moe& moe, double limit, std::span<const int> ids,
            std::span<const double> weights, const Row& x) {
  Row sum = expert(a, moe.shared, limit, 1, x);
  for (size_t j = 0; j < ids.size(); ++j) {
    const Row y = expert(a, moe.experts[static_cast<size_t>(ids[j])], limit, weights[j], x);
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += y[i];
  }
  return a.bf(sum);
}

Rows mtp_input(const Arithmetic& a, const weights::ClassicMtp& mtp, double eps, const Rows& e,
               const Rows& h) {
  Rows tokens, streams;
  for (const Row& row : e) tokens.push_back(rms(a, row, mtp.enorm, eps));
  const size_t d = e[0].size();
  for (const Row& row : h) {
    for (auto at = row.begin(); at != row.end(); at += static_cast<std::ptrdiff_t>(d)) {
      streams.push_back(rms(a, {at, at + static_cast<std::ptrdiff_t>(d)}, mtp.hnorm, eps));
    }
  }
  const Rows left = linear(a, mtp.e_proj, tokens);
  const Rows right = linear(a, mtp.h_proj, streams);
  Rows out(e.size());
  for (size_t s = 0; s < right.size(); ++s) {
    const size_t row = s * e.size() / right.size();
    for (size_t i = 0; i < d; ++i) out[row].push_back(a.bf(left[row][i] + right[s][i]));
  }
  return out;
}

Row mean_streams(const Arithmetic& a, int streams, const Row& h) {
  const size_t d = h.size() / static_cast<size_t>(streams);
  Row mean(d);
  for (size_t i = 0; i < d; ++i) {
    double sum = 0;
    for (size_t at = i; at < h.size(); at += d) sum += h[at];
    mean[i] = a.bf(a.settle(sum) / streams);
  }
  return mean;
}

}  // namespace ds4::reference

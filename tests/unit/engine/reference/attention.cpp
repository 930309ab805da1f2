#include "tests/unit/engine/reference/attention.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <numeric>

namespace ds4::reference {
namespace {

double dot(const Row& x, const Row& y) {
  return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
}

// sim8 of all but the rotated dims.
Row simulate_kv(const Arithmetic& a, ops::RowFormat format, size_t rope, Row x) {
  if (!a.strict || format != ops::RowFormat::kFp8) return x;
  const Row nope = q8(std::span(x).first(x.size() - rope), 64);
  for (size_t i = 0; i < nope.size(); ++i) x[i] = a.bf(nope[i]);
  return x;
}

Row simulate_key(const Arithmetic& a, ops::RowFormat format, const Row& x) {
  return a.strict && format == ops::RowFormat::kFp4 ? a.bf(q4(x, 32)) : x;
}

}  // namespace

std::vector<float> frequencies(int rope_dim, double theta, const weights::Yarn* yarn) {
  std::vector<float> out;
  for (int i = 0; i < rope_dim / 2; ++i) {
    double f = std::pow(theta, -2.0 * i / rope_dim);
    if (yarn) {
      const auto dim_of = [&](double turns) {
        return rope_dim *
               std::log(static_cast<double>(yarn->original_context) /
                        (turns * 2 * std::numbers::pi)) /
               (2 * std::log(theta));
      };
      const double low = std::floor(dim_of(yarn->beta_fast));
      const double high = std::ceil(dim_of(yarn->beta_slow));
      const double ramp = std::clamp((i - low) / (high - low), 0.0, 1.0);
      f = f / yarn->factor * ramp + f * (1 - ramp);
    }
    out.push_back(static_cast<float>(f));
  }
  return out;
}

Row angles(const Arithmetic& a, std::span<const float> frequencies, int64_t position) {
  Row table;
  const auto angle = [&](float f) { return double{static_cast<float>(position) * f}; };
  for (const float f : frequencies) table.push_back(a.settle(std::cos(angle(f))));
  for (const float f : frequencies) table.push_back(a.settle(std::sin(angle(f))));
  return table;
}

Row rotate(const Arithmetic& a, Row x, std::span<const double> table, bool inverse) {
  const size_t pairs = table.size() / 2;
  for (size_t i = 0; i < pairs; ++i) {
    double& first = x[x.size() - 2 * pairs + 2 * i];
    double& second = x[x.size() - 2 * pairs + 2 * i + 1];
    const double c = table[i];
    const double s = inverse ? -table[pairs + i] : table[pairs + i];
    const double turned = first * c - second * s;
    second = a.bf(first * s + second * c);
    first = a.bf(turned);
  }
  return x;
}

Row hadamard(const Arithmetic& a, const Row& x) {
  const double root = std::sqrt(static_cast<double>(x.size()));
  Row y(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    double sum = 0;
    for (size_t j = 0; j < x.size(); ++j) sum += std::popcount(i & j) % 2 ? -x[j] : x[j];
    y[i] = a.bf(sum / root);
  }
  return y;
}

Row finish_query(const Arithmetic& a, double eps, std::span<const double> table, const Row& q) {
  double sum = 0;
  for (const double v : q) sum += a.bf(v * v);
  const double mean = a.bf(a.settle(sum) / static_cast<double>(q.size()));
  const double r = a.bf(1 / std::sqrt(a.bf(mean + a.settle(eps))));
  Row y(q.size());
  for (size_t i = 0; i < q.size(); ++i) y[i] = a.bf(q[i] * r);
  return rotate(a, y, table);
}

Row finish_index_query(const Arithmetic& a, ops::RowFormat keys, std::span<const double> table,
                       const Row& iq) {
  return simulate_key(a, keys, hadamard(a, rotate(a, iq, table)));
}

Row raw_row(const Arithmetic& a, ops::RowFormat format, std::span<const float> gain, double eps,
            std::span<const double> table, const Row& kv) {
  return simulate_kv(a, format, table.size(), rotate(a, rms(a, kv, gain, eps), table));
}

Rows compressed_rows(const Arithmetic& a, const weights::Compressor& c, ops::RowFormat format,
                     bool index, double eps, std::span<const float> frequencies, const Rows& kv,
                     const Rows& score) {
  const auto ratio = static_cast<size_t>(c.ratio);
  const auto dim = static_cast<size_t>(c.row_dim);
  const auto width = static_cast<size_t>(c.width);
  const bool overlap = c.ratio == 4;
  Rows rows;
  for (size_t block = 0; (block + 1) * ratio <= kv.size(); ++block) {
    Row z(dim);
    for (size_t d = 0; d < dim; ++d) {
      // Candidates: the block before with the first half of its columns, this one with the last.
      Row s, v;
      const auto add = [&](size_t token, size_t column) {
        s.push_back(a.settle(score[token][column] + double{c.ape[token % ratio * width + column]}));
        v.push_back(kv[token][column]);
      };
      for (size_t t = 0; overlap && block > 0 && t < ratio; ++t) add((block - 1) * ratio + t, d);
      for (size_t t = 0; t < ratio; ++t) add(block * ratio + t, width - dim + d);
      const double most = *std::max_element(s.begin(), s.end());
      for (double& w : s) w = a.settle(std::exp(a.settle(w - most)));
      const double sum = a.settle(std::accumulate(s.begin(), s.end(), 0.0));
      for (double& w : s) w = a.settle(w / sum);
      z[d] = a.bf(dot(s, v));
    }
    const Row table = angles(a, frequencies, static_cast<int64_t>(block * ratio));
    z = rotate(a, rms(a, z, c.norm, eps), table);
    rows.push_back(index ? simulate_key(a, format, hadamard(a, z))
                         : simulate_kv(a, format, table.size(), z));
  }
  return rows;
}

Row index_scores(const Arithmetic& a, int heads, const Row& iq, const Row& projected,
                 const Rows& keys) {
  const size_t dim = iq.size() / static_cast<size_t>(heads);
  const double scale =
      a.settle(1 / std::sqrt(static_cast<double>(dim)) / std::sqrt(static_cast<double>(heads)));
  Row scores(keys.size());
  for (size_t n = 0; n < keys.size(); ++n) {
    double sum = 0;
    for (size_t h = 0; h < static_cast<size_t>(heads); ++h) {
      double product = 0;
      for (size_t i = 0; i < dim; ++i) product += iq[h * dim + i] * keys[n][i];
      sum += a.bf(std::max(a.bf(product), 0.0) * a.bf(projected[h] * scale));
    }
    scores[n] = a.bf(sum);
  }
  return scores;
}

Row attend(const Arithmetic& a, const Row& q, const std::vector<const Row*>& rows, double sink) {
  const double scale = a.settle(1 / std::sqrt(static_cast<double>(q.size())));
  Row p;
  for (const Row* row : rows) p.push_back(a.settle(a.settle(dot(q, *row)) * scale));
  const double most = *std::max_element(p.begin(), p.end());
  for (double& s : p) s = a.settle(std::exp(a.settle(s - most)));
  const double z = std::accumulate(p.begin(), p.end(), a.settle(std::exp(a.settle(sink - most))));
  Row o(q.size());
  for (size_t t = 0; t < rows.size(); ++t) {
    const double weight = a.bf(p[t]);
    for (size_t i = 0; i < o.size(); ++i) o[i] += weight * (*rows[t])[i];
  }
  for (double& v : o) v = a.bf(a.settle(v) / a.settle(z));
  return o;
}

}  // namespace ds4::reference

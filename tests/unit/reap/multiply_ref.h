// The float64 product that the references of the pruning tests are made of.
#pragma once

#include <vector>

#include "engine/weights/codecs/decode.h"

namespace ds4::reap {

/// w x in float64, from the decoded rows of w. x [w.cols], result [w.rows].
inline std::vector<double> multiply(const weights::Matrix& w, const std::vector<double>& x) {
  std::vector<double> y;
  std::vector<float> row(static_cast<size_t>(w.cols));
  for (int64_t r = 0; r < w.rows; ++r) {
    weights::decode_row(w, r, 0, w.cols, row.data());
    double sum = 0;
    for (size_t c = 0; c < row.size(); ++c) sum += double{row[c]} * x[c];
    y.push_back(sum);
  }
  return y;
}

}  // namespace ds4::reap

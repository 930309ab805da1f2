// The operations of the CPU back end that only drafting needs (model.md 5).
#include <algorithm>
#include <vector>

#include "engine/base/check.h"
#include "engine/ops/cpu/backend.h"

namespace ds4::ops::cpu {

void CpuBackend::mtp_input(const weights::ClassicMtp& mtp, float eps, int n, Values e, Values h) {
  const int64_t d = e.cols;
  const int64_t streams = h.cols / d;
  DS4_CHECK(h.cols == streams * d && mtp.e_proj.cols == d && mtp.h_proj.cols == d);
  const int64_t n_streams = n * streams;
  rms_norm(mtp.enorm, eps, n, e, e);
  rms_norm(mtp.hnorm, eps, static_cast<int>(n_streams), {h.data, d}, {h.data, d});
  float* left = shared_[0].floats(n * d);
  float* right = shared_[3].floats(n_streams * d);
  multiply(mtp.e_proj, n, floats(e), mtp.e_proj.quantised(), true, left);
  multiply(mtp.h_proj, n_streams, floats(h), mtp.h_proj.quantised(), true, right);
  pool_.run(n_streams, n_streams * d, [&](int64_t i, int) {
    float* row = floats(h) + i * d;
    std::copy_n(right + i * d, d, row);
    add_to(left + i / streams * d, d, row);
    if (strict_) round_bf16(row, d);
  });
}

void CpuBackend::mean_streams(int streams, int n, Values h, int64_t column, Values mean) {
  const int64_t d = h.cols / streams;
  DS4_CHECK(h.cols == streams * d && column + d <= mean.cols);
  const std::vector<float> share(static_cast<size_t>(streams), 1.0f / static_cast<float>(streams));
  pool_.run(n, n * h.cols, [&](int64_t i, int) {
    mix_streams(floats(h) + i * h.cols, share.data(), streams, d, strict_,
                floats(mean) + i * mean.cols + column);
  });
}

void CpuBackend::add_markov_bias(const weights::Matrix& w1, const weights::Matrix& w2,
                                 TokenId previous, int64_t row, Floats logits) {
  DS4_CHECK(w1.cols == w2.cols && w2.rows == logits.cols);
  float* from = shared_[0].floats(padded(w1.cols));
  float* bias = shared_[3].floats(w2.rows);
  decode_weights(w1, previous, from);
  multiply(w2, 1, from, false, false, bias);
  add_to(bias, w2.rows, floats(logits) + row * logits.cols);
}

}  // namespace ds4::ops::cpu

// The operations of the CUDA back end that only drafting needs (model.md 5).
#include "engine/base/check.h"
#include "engine/ops/cuda/backend.h"

namespace ds4::ops::cuda {

void CudaBackend::mtp_input(const weights::ClassicMtp& mtp, float eps, int n, Values e, Values h) {
  const int64_t d = e.cols;
  const auto streams = static_cast<int>(h.cols / d);
  DS4_CHECK(h.cols == streams * d && mtp.e_proj.cols == d && mtp.h_proj.cols == d);
  const int n_streams = n * streams;
  const Operation at = begin();
  cuda::rms_norm(at, weights_.vector(std::span(mtp.enorm)), eps, n, d, e.data, e.data);
  cuda::rms_norm(at, weights_.vector(std::span(mtp.hnorm)), eps, n_streams, d, h.data, h.data);
  std::byte* left = take_values(n * d);
  std::byte* right = take_values(n_streams * d);
  Columns columns;
  columns.columns = n;
  multiply(weights_.product(mtp.e_proj, 1, mtp.e_proj.quantised()), columns, n, {.values = e.data},
           true, left, d);
  columns.columns = n_streams;
  multiply(weights_.product(mtp.h_proj, 1, mtp.h_proj.quantised()), columns, n_streams,
           {.values = h.data}, true, right, d);
  join_streams(at, streams, n, d, left, right, h.data);
  check_launches();
}

void CudaBackend::mean_streams(int streams, int n, Values h, int64_t column, Values mean) {
  const int64_t d = h.cols / streams;
  DS4_CHECK(h.cols == streams * d && column + d <= mean.cols);
  cuda::mean_streams(begin(), streams, n, d, h.data, mean.cols, mean.data + column * value_bytes());
  check_launches();
}

void CudaBackend::add_markov_bias(const weights::Matrix& w1, const weights::Matrix& w2,
                                  TokenId previous, int64_t row, Floats logits) {
  DS4_CHECK(w1.cols == w2.cols && w2.rows == logits.cols);
  markov_bias(begin(), weights_.plain(w1), weights_.plain(w2), previous,
              floats(logits) + row * logits.cols);
  check_launches();
}

}  // namespace ds4::ops::cuda

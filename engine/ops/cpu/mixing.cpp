#include "engine/ops/cpu/mixing.h"

#include <algorithm>
#include <cmath>

namespace ds4::ops::cpu {
namespace {

float sigmoid(float x) {
  return 1.0f / (1.0f + std::exp(-x));
}

// Rows sum over k (the destination), columns over j (the source); the sums get eps (T14).
void divide_rows(float* c, int n, float eps) {
  for (int j = 0; j < n; ++j) {
    float sum = 0;
    for (int k = 0; k < n; ++k) sum += c[j * n + k];
    for (int k = 0; k < n; ++k) c[j * n + k] /= sum + eps;
  }
}

void divide_columns(float* c, int n, float eps) {
  for (int k = 0; k < n; ++k) {
    float sum = 0;
    for (int j = 0; j < n; ++j) sum += c[j * n + k];
    for (int j = 0; j < n; ++j) c[j * n + k] /= sum + eps;
  }
}

// With the number of streams known the compiler keeps the matrix in registers.
template <int kStreams>
void sinkhorn(float* c, int streams, int iterations, float eps) {
  const int n = kStreams ? kStreams : streams;
  for (int j = 0; j < n; ++j) {
    const float top = *std::max_element(c + j * n, c + (j + 1) * n);
    float sum = 0;
    for (int k = 0; k < n; ++k) sum += c[j * n + k] = std::exp(c[j * n + k] - top);
    for (int k = 0; k < n; ++k) c[j * n + k] = c[j * n + k] / sum + eps;
  }
  divide_columns(c, n, eps);
  for (int i = 1; i < iterations; ++i) {
    divide_rows(c, n, eps);
    divide_columns(c, n, eps);
  }
}

}  // namespace

void mix_coefficients(const MixSettings& settings, std::span<const float> base,
                      std::span<const float> scale, float* m) {
  const int n = settings.streams;
  float* post = m + n;
  float* c = m + 2 * n;
  for (int j = 0; j < n; ++j) {
    const auto b = static_cast<size_t>(j);
    m[j] = sigmoid(m[j] * scale[0] + base[b]) + settings.mix_eps;
    post[j] = 2 * sigmoid(post[j] * scale[1] + base[b + static_cast<size_t>(n)]);
  }
  for (int i = 0; i < n * n; ++i) c[i] = c[i] * scale[2] + base[static_cast<size_t>(2 * n + i)];
  if (n == 4) {
    sinkhorn<4>(c, n, settings.sinkhorn_iterations, settings.mix_eps);
  } else {
    sinkhorn<0>(c, n, settings.sinkhorn_iterations, settings.mix_eps);
  }
}

void head_coefficients(const MixSettings& settings, std::span<const float> base, float scale,
                       float* m) {
  for (int j = 0; j < settings.streams; ++j) {
    m[j] = sigmoid(m[j] * scale + base[static_cast<size_t>(j)]) + settings.mix_eps;
  }
}

}  // namespace ds4::ops::cpu

#include "probes/sentinel.h"

#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <vector>

#include "engine/base/check.h"

namespace ds4::probes {
namespace {

constexpr int kPasses = 7;
constexpr int64_t kColumns = 4096;
constexpr int64_t kRows = 4096;
constexpr size_t kCopyBytes = size_t{64} << 20;  // beyond the caches of the machines we know

double thread_cpu_seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// The most bytes per second of several passes; the first one warms up.
template <typename Work>
double best_rate(double bytes, const Work& work) {
  work();
  double best_s = 1e30;
  for (int pass = 0; pass < kPasses; ++pass) {
    const double begin = thread_cpu_seconds();
    work();
    best_s = std::min(best_s, thread_cpu_seconds() - begin);
  }
  return bytes / best_s;
}

// Eight sums side by side, which the compiler turns into one vector.
float dot(const float* a, const float* b) {
  float sums[8] = {};
  for (int64_t i = 0; i < kColumns; i += 8) {
    for (int64_t j = 0; j < 8; ++j) sums[j] += a[i + j] * b[i + j];
  }
  float total = 0;
  for (const float sum : sums) total += sum;
  return total;
}

// Whole numbers of no pattern, since memory that is all alike may be read faster; sums of 4,096 of
// them are exact in any order.
std::vector<float> filled(int64_t n) {
  std::vector<float> values(static_cast<size_t>(n));
  for (uint32_t i = 0; float& value : values) {
    value = static_cast<float>((i++ * 2654435761u) >> 24);
  }
  return values;
}

}  // namespace

SentinelReading read_host_sentinel() {
  SentinelReading reading;
  {
    std::vector<float> from = filled(kCopyBytes / sizeof(float)), to(from.size());
    const size_t middle = from.size() / 2;
    reading.copy_rate = best_rate(2.0 * kCopyBytes, [&] {
      ++from[middle];
      std::memcpy(to.data(), from.data(), kCopyBytes);
      DS4_CHECK(to[middle] == from[middle]);
    });
  }
  const std::vector<float> matrix = filled(kRows * kColumns), ones(kColumns, 1.0f);
  std::vector<float> sums;
  for (int64_t row = 0; row < kRows; ++row) {
    const float* values = matrix.data() + row * kColumns;
    sums.push_back(std::accumulate(values, values + kColumns, 0.0f));
  }
  reading.gemv_rate = best_rate(4.0 * kRows * kColumns, [&] {
    for (int64_t row = 0; row < kRows; ++row) {
      DS4_CHECK(dot(matrix.data() + row * kColumns, ones.data()) == sums[row]);
    }
  });
  return reading;
}

}  // namespace ds4::probes

#include "tests/bench/measure.h"

#include <time.h>

#include <algorithm>
#include <cstring>

#include "engine/base/clock.h"
#include "engine/ops/cpu/kernels.h"

namespace ds4::bench {
namespace {

double process_cpu_seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

}  // namespace

Ceilings measure_ceilings() {
  static probes::ReadProbe reads;
  static probes::SgemmProbe products(threads());
  Ceilings best;
  for (int pass = 0; pass < 4; ++pass) {
    best.read = std::max(best.read, reads.run(threads()).rate());
    best.sgemm = std::max(best.sgemm, products.run(threads()).rate());
  }
  return best;
}

Stopwatch::Stopwatch() : wall_s_(monotonic_seconds()), cpu_s_(process_cpu_seconds()) {}

probes::Pass Stopwatch::pass(double work) const {
  return {work, monotonic_seconds() - wall_s_, process_cpu_seconds() - cpu_s_, threads()};
}

std::vector<float> normals(int64_t count) {
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  std::vector<float> out(static_cast<size_t>(count) + 16);
  for (float& x : out) x = normal(random);
  return out;
}

RandomMatrix::RandomMatrix(weights::Matrix::Format format, int64_t rows, int64_t cols)
    : matrix_{format, rows, cols, nullptr, nullptr} {
  data_.resize(static_cast<size_t>(rows * matrix_.row_bytes()) + 64);
  std::mt19937_64 random(7);
  for (size_t i = 0; i + 8 <= data_.size(); i += 8) {
    // Half of the codes' bits suffice; bit 6 of each byte stays 0, so that no float is large.
    const uint64_t bits = random() & 0xBFBFBFBFBFBFBFBFu;
    std::memcpy(data_.data() + i, &bits, 8);
  }
  matrix_.data = data_.data();
  if (matrix_.quantised()) {
    scales_.assign(static_cast<size_t>(rows * matrix_.scale_cols()), 120);
    matrix_.scales = scales_.data();
  }
}

ops::RowStore filled_rows(const ops::RowLayout& layout, int64_t count,
                          std::vector<std::byte>& memory) {
  memory.resize(static_cast<size_t>(layout.bytes() * count + 64));
  const ops::RowStore rows{layout, count, memory.data()};
  const auto values_of_row = normals(layout.dim);
  for (int64_t i = 0; i < count; ++i) {
    ops::cpu::encode_row(layout, values_of_row.data(), rows.row(i));
  }
  return rows;
}

}  // namespace ds4::bench

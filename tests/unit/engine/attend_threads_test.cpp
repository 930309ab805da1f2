// Attention at the real width gives the same bits however its queries are divided among threads.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "engine/ops/cpu/kernels.h"
#include "engine/ops/ops.h"
#include "tests/support/random_data.h"

namespace ds4::ops {
namespace {

constexpr int kHeads = 13, kDim = 512, kRope = 64, kWindow = 128, kMostRows = 8;
constexpr int64_t kSelected = 100, kCompressed = 500, kPosition = 2048;

class AttendThreads : public testing::Test {
 protected:
  AttendThreads() {
    raw_ = filled(kWindow + kMostRows, raw_memory_);
    compressed_ = filled(kCompressed, compressed_memory_);
    for (int i = 0; i < kMostRows; ++i) {
      for (int32_t j = 0; j < kSelected; ++j) selected_.push_back(3 * j + i);
    }
  }

  RowStore filled(int64_t rows, std::vector<std::byte>& memory) {
    const RowLayout layout{RowFormat::kFp8, kDim, kRope};
    memory.resize(static_cast<size_t>(layout.bytes() * rows));
    const RowStore store{layout, rows, memory.data()};
    for (int64_t i = 0; i < rows; ++i) {
      cpu::encode_row(layout, random_.values(kDim, 2).data(), store.row(i));
    }
    return store;
  }

  // Rows 0..n-1 of the queries; `all`: every compressed row instead of the selected ones.
  std::vector<float> attend(int threads, int n, bool all) {
    std::vector<float> o(static_cast<size_t>(n) * kHeads * kDim, NAN);
    const auto view = [](auto& data) {
      return reinterpret_cast<std::byte*>(const_cast<float*>(data.data()));
    };
    KeySet keys{{&raw_, 1}, kWindow, {&compressed_, 1}, 4, {}};
    if (!all) keys.selected = {reinterpret_cast<std::byte*>(selected_.data()), kSelected};
    const Segment segment{0, {kPosition, n}};
    std::vector<float> q(q_.begin(), q_.begin() + static_cast<std::ptrdiff_t>(o.size()));
    q.resize(q.size() + 16);
    o.resize(o.size() + 16, NAN);
    make_cpu_backend(threads, Precision::kReference)
        ->attend(keys, sinks_, {&segment, 1}, {view(angles_), kRope}, {view(q), kHeads * kDim},
                 {view(o), kHeads * kDim});
    o.resize(o.size() - 16);
    return o;
  }

  test_support::Random random_{4};
  std::vector<std::byte> raw_memory_, compressed_memory_;
  RowStore raw_, compressed_;
  std::vector<int32_t> selected_;
  const std::vector<float> q_ = random_.values(kMostRows * kHeads * kDim, 1);
  const std::vector<float> angles_ = random_.numbers(kMostRows * kRope, 1);
  const std::vector<float> sinks_ = random_.numbers(kHeads, 1);
};

TEST_F(AttendThreads, ChangeNoBit) {
  for (const bool all : {false, true}) {
    const std::vector<float> expected = attend(1, kMostRows, all);
    for (const float v : expected) ASSERT_TRUE(std::isfinite(v));
    for (const int n : {1, 2, 3, kMostRows}) {
      for (const int threads : {1, 2, 3, 7, 16}) {
        SCOPED_TRACE(testing::Message() << n << " rows, " << threads << " threads");
        const std::vector<float> got = attend(threads, n, all);
        ASSERT_TRUE(std::equal(got.begin(), got.end(), expected.begin()));
      }
    }
  }
}

}  // namespace
}  // namespace ds4::ops

// The kernels of the probes on a GPU: products in every format against float64 and a check that can
// fail, streaming kernels against a plain sum, tensor
// cores against the number of their operations.
#include <gtest/gtest.h>

#include <cstdio>
#include <vector>

#include "engine/device/error.h"
#include "probes/device/ceilings.h"
#include "probes/device/fill.h"
#include "probes/device/gemv_bench.h"
#include "probes/device/streaming.h"
#include "probes/device/tensor.h"

namespace ds4::probes {
namespace {

constexpr double kAgree = 2e-6;

class GemvOnGpu : public ::testing::TestWithParam<WeightFormat> {};

TEST_P(GemvOnGpu, EqualsFloat64AtEveryNumberOfRows) {
  Gpu gpu;
  for (const GemvShape shape : {GemvShape{128, 256}, {384, 768}, {1152, 2304}}) {
    GemvBench bench(gpu, GetParam(), shape, 1 << 22);
    for (int n_x = 1; n_x <= kMostColumns; ++n_x) {
      for (const int warps : {1, 2, 4, 8}) {
        EXPECT_LT(bench.worst_error(n_x, warps), kAgree)
            << shape.rows << " x " << shape.columns << ", M = " << n_x << ", " << warps;
      }
    }
  }
}

TEST_P(GemvOnGpu, AWrongActivationIsNoticed) {
  Gpu gpu;
  GemvBench bench(gpu, GetParam(), {384, 768}, 1 << 20);
  EXPECT_GT(bench.worst_error(8, 2, 1.01), 2 * kAgree);
}

INSTANTIATE_TEST_SUITE_P(Formats, GemvOnGpu, ::testing::ValuesIn(kWeightFormats));

// With operands of ones each multiply-add adds one; the rate must stay under what the chip can do.
TEST(TensorOnGpu, DoesAllThatIsCountedAndNoFasterThanTheChip) {
  Gpu gpu;
  Recorder recorder(Protocol::quick());
  for (const TensorWay way : kTensorWays) {
    ASSERT_NO_THROW(measure_tensor(gpu, recorder, way)) << way.name();
    const double rate = recorder.median("tensor_rate", way.name());
    std::printf("[ rate     ] %s %.0f TFLOP/s\n", way.name().c_str(), rate / 1e12);
    const double most = tensor_peak(gpu, way.name());
    EXPECT_LE(rate, most > 0 ? 1.05 * most : rate) << way.name();
    if (way.type == TensorType::kBf16 && !way.by_groups) {
      EXPECT_GT(rate, 1e12);
    }
    if (way.by_groups && rate > 0) {
      EXPECT_GT(rate, recorder.median("tensor_rate", TensorWay{way.type, false}.name()));
    }
  }
}

// A counter that is off, or a kernel that skips its work, would be faster than the chip.
TEST(TensorOnGpu, AnImpossibleRateIsRefused) {
  Gpu gpu;
  const double most = tensor_peak(gpu, "BF16, wgmma");
  if (most == 0) GTEST_SKIP() << "the peak of this GPU is not known";
  Protocol protocol = Protocol::quick();
  protocol.most = [&](const std::string&, const std::string&) { return most; };
  Recorder recorder(protocol);
  EXPECT_NO_THROW(recorder.measure("ceilings", "tensor_rate", "BF16, wgmma", [&] { return most; }));
  EXPECT_THROW(recorder.measure("ceilings", "tensor_rate", "BF16, wgmma", [&] { return 2 * most; }),
               ImpossibleFigure);
}

TEST(TensorOnGpu, KnowsThePeakOfAnH200) {
  EXPECT_NEAR(most_tensor_rate(TensorType::kBf16, 90, 132, 1.83e9), 989e12, 1e12);
  EXPECT_NEAR(most_tensor_rate(TensorType::kFp8, 90, 132, 1.83e9), 1979e12, 1e12);
  EXPECT_EQ(most_tensor_rate(TensorType::kBf16, 70, 80, 1.5e9), 0);
}

TEST(StreamingOnGpu, EveryShapeReadsAllOfIt) {
  Gpu gpu;
  for (const int64_t pieces : {1, 3, 1000, 5001}) {
    const int64_t bytes = pieces * kPiece;
    const auto* data = gpu.numbers(bytes).data();
    for (const Reading reading : {Reading::kF32, Reading::kBf16}) {
      read_plainly(data, bytes, reading, gpu.total(), gpu.stream());
      const double expected = gpu.read_total();
      for (const int loads : {2, 4, 8}) {
        for (const bool stay : {false, true}) {
          read_all(data, bytes, reading, {loads, stay}, gpu.total(), gpu.stream());
          EXPECT_NEAR(gpu.read_total() / expected, 1, 1e-6) << pieces << " " << loads << stay;
        }
      }
    }
    read_plainly(data, bytes, Reading::kF32, gpu.total(), gpu.stream());
    const double once = gpu.read_total();
    read_again(data, bytes, 5, gpu.total(), gpu.stream());
    EXPECT_NEAR(gpu.read_total() / (5 * once), 1, 1e-6);
  }
}

TEST(StreamingOnGpu, CopiesAndTriadsAreWhole) {
  Gpu gpu;
  const int64_t bytes = 777 * kPiece;
  const auto* a = gpu.numbers(2 * bytes).data();
  const device::Memory to(bytes);
  std::vector<float> x(static_cast<size_t>(bytes / 4)), y(x.size()), z(x.size());
  DS4_CUDA(cudaMemcpy(x.data(), a, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost));
  DS4_CUDA(cudaMemcpy(y.data(), a + bytes, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost));
  for (const Shape shape : {Shape{2, true}, Shape{4, false}, Shape{8, true}}) {
    poison(to.data(), bytes, gpu.stream());
    copy_all(a, to.data(), bytes, shape, gpu.stream());
    gpu.stream().wait();
    DS4_CUDA(cudaMemcpy(z.data(), to.data(), static_cast<size_t>(bytes), cudaMemcpyDeviceToHost));
    EXPECT_EQ(x, z);
    poison(to.data(), bytes, gpu.stream());
    triad(a, a + bytes, to.data(), bytes, shape, gpu.stream());
    gpu.stream().wait();
    DS4_CUDA(cudaMemcpy(z.data(), to.data(), static_cast<size_t>(bytes), cudaMemcpyDeviceToHost));
    for (size_t i = 0; i < z.size(); ++i) ASSERT_NEAR(z[i], x[i] + 3 * y[i], 1e-5) << i;
  }
}

}  // namespace
}  // namespace ds4::probes

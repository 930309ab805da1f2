#include "probes/device/ceilings.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "engine/base/check.h"
#include "engine/base/error.h"
#include "engine/base/units.h"
#include "engine/device/error.h"
#include "probes/device/fill.h"
#include "probes/device/streaming.h"
#include "probes/device/tensor.h"

namespace ds4::probes {
namespace {

constexpr const char* kGroup = "ceilings";
constexpr int64_t kQuickBytes = int64_t{4} << 30;
constexpr int64_t kMostBytes = int64_t{8} << 30;
constexpr double kShare = 0.25;       // of the free memory, for each of up to three buffers
constexpr double kSumsAgree = 1e-4;   // f32 sums of a thread against double
constexpr double kPagesAgree = 0.02;  // the mean of random pages against that of all
constexpr int64_t kWorkPerSize = int64_t{4} << 30;  // bytes read per pass of the curve

constexpr Shape kShapes[] = {{2, false}, {4, false}, {8, false}, {4, true}, {8, true}};

int64_t buffer_bytes(bool quick) {
  return Gpu::fitting(quick ? kQuickBytes : kMostBytes, kShare);
}

// The shape whose few passes are fastest; each machine has its own.
template <class Launch>
Shape best_shape(Gpu& gpu, const Launch& launch) {
  Shape best;
  double best_s = 1e30;
  for (const Shape shape : kShapes) {
    gpu.seconds([&] { launch(shape); });
    double least = 1e30;
    for (int i = 0; i < 3; ++i) {
      least = std::min(least, gpu.seconds([&] { launch(shape); }));
    }
    if (least < best_s) best_s = least, best = shape;
  }
  return best;
}

void check_sum(double sum, double expected, double tolerance) {
  DS4_CHECK(expected > 0 && std::abs(sum - expected) <= tolerance * expected,
            "a probe read other values than are there");
}

double plain_sum(Gpu& gpu, const void* data, int64_t bytes, Reading reading) {
  read_plainly(data, bytes, reading, gpu.total(), gpu.stream());
  return gpu.read_total();
}

Series& measure_reading(Gpu& gpu, Recorder& recorder, bool quick, Reading reading,
                        const char* name) {
  const int64_t bytes = buffer_bytes(quick);
  const auto* data = gpu.numbers(bytes).data();
  const double expected = plain_sum(gpu, data, bytes, reading);
  double* total = gpu.total();
  const auto launch = [&](Shape shape) {
    read_all(data, bytes, reading, shape, total, gpu.stream());
  };
  const Shape shape = best_shape(gpu, launch);
  Series& series = recorder.measure(kGroup, "read_rate", name, [&] {
    gpu.total();
    return static_cast<double>(bytes) / gpu.seconds([&] { launch(shape); });
  });
  check_sum(gpu.read_total(), expected, kSumsAgree);
  series.note = format_bytes(bytes);
  return series;
}

void measure_writes(Gpu& gpu, Recorder& recorder, bool quick) {
  const int64_t bytes = buffer_bytes(quick);
  const device::Memory to(bytes);
  const auto launch = [&](Shape shape) { write_all(to.data(), bytes, 1, shape, gpu.stream()); };
  const Shape shape = best_shape(gpu, launch);
  recorder
      .measure(kGroup, "write_rate", "kernel",
               [&] { return static_cast<double>(bytes) / gpu.seconds([&] { launch(shape); }); })
      .note = format_bytes(bytes);
  recorder.measure(kGroup, "write_rate", "cudaMemset", [&] {
    return static_cast<double>(bytes) / gpu.seconds([&] {
      DS4_CUDA(cudaMemsetAsync(to.data(), 0xA5, static_cast<size_t>(bytes), gpu.stream()));
    });
  });
}

void measure_copies(Gpu& gpu, Recorder& recorder, bool quick) {
  const int64_t bytes = buffer_bytes(quick);
  const auto* from = gpu.numbers(bytes).data();
  const device::Memory to(bytes);
  const double expected = plain_sum(gpu, from, bytes, Reading::kF32);
  const double work = 2.0 * static_cast<double>(bytes);
  const auto launch = [&](Shape shape) { copy_all(from, to.data(), bytes, shape, gpu.stream()); };
  const Shape shape = best_shape(gpu, launch);
  const auto measure = [&](const char* name, const std::function<void()>& copy) {
    poison(to.data(), bytes, gpu.stream());
    recorder.measure(kGroup, "copy_rate", name, [&] { return work / gpu.seconds(copy); });
    check_sum(plain_sum(gpu, to.data(), bytes, Reading::kF32), expected, 1e-12);
  };
  measure("kernel", [&] { launch(shape); });
  measure("cudaMemcpy", [&] {
    DS4_CUDA(cudaMemcpyAsync(to.data(), from, static_cast<size_t>(bytes), cudaMemcpyDeviceToDevice,
                             gpu.stream()));
  });
}

void measure_mix(Gpu& gpu, Recorder& recorder, bool quick) {
  const int64_t bytes = buffer_bytes(quick) / 2 / kPiece * kPiece;
  const auto* a = gpu.numbers(2 * bytes).data();
  const device::Memory to(bytes);
  const auto launch = [&](Shape shape) {
    triad(a, a + bytes, to.data(), bytes, shape, gpu.stream());
  };
  const Shape shape = best_shape(gpu, launch);
  poison(to.data(), bytes, gpu.stream());
  recorder.measure(kGroup, "mix_rate", "two reads, one write", [&] {
    return 3.0 * static_cast<double>(bytes) / gpu.seconds([&] { launch(shape); });
  });
  const double sum = plain_sum(gpu, to.data(), bytes, Reading::kF32);
  DS4_CHECK(std::isfinite(sum) && sum > 0);
}

// From a few hundred KiB a multiprocessor to far beyond L2: where the curve falls, L2 ends.
void measure_working_sets(Gpu& gpu, Recorder& recorder, bool quick) {
  const int64_t most = buffer_bytes(quick);
  const auto* data = gpu.numbers(most).data();
  for (int64_t bytes = int64_t{2} << 20; bytes <= most; bytes *= 2) {
    const int rounds = static_cast<int>(std::max<int64_t>(1, kWorkPerSize / bytes));
    const double expected = plain_sum(gpu, data, bytes, Reading::kF32) * rounds;
    const auto launch = [&] { read_again(data, bytes, rounds, gpu.total(), gpu.stream()); };
    recorder.measure(kGroup, "working_set_rate", format_bytes(bytes), [&] {
      return static_cast<double>(bytes) * rounds / gpu.seconds(launch, true);
    });
    check_sum(gpu.read_total(), expected, kSumsAgree);
  }
}

void measure_pages(Gpu& gpu, Recorder& recorder, bool quick) {
  const int64_t bytes = buffer_bytes(quick);
  const auto* data = gpu.numbers(bytes).data();
  const double mean = plain_sum(gpu, data, bytes, Reading::kF32) / static_cast<double>(bytes);
  const int64_t count = bytes / 4096 / 2;
  uint64_t seed = 1;
  recorder.measure(kGroup, "random_read_rate", "4 KiB", [&] {
    double* total = gpu.total();
    return static_cast<double>(count * 4096) / gpu.seconds([&] {
      read_pages(data, bytes, count, seed += static_cast<uint64_t>(count), total, gpu.stream());
    });
  });
  check_sum(gpu.read_total(), mean * static_cast<double>(count * 4096), kPagesAgree);
}

}  // namespace

Series& measure_read(Gpu& gpu, Recorder& recorder, bool quick) {
  return measure_reading(gpu, recorder, quick, Reading::kF32, kReadCeiling);
}

double tensor_peak(const Gpu& gpu, const std::string& of) {
  for (const TensorType type : kTensorTypes) {
    if (!of.starts_with(tensor_name(type))) continue;
    return most_tensor_rate(type,
                            10 * gpu.attribute(cudaDevAttrComputeCapabilityMajor) +
                                gpu.attribute(cudaDevAttrComputeCapabilityMinor),
                            gpu.processors(), gpu.clock_hz());
  }
  return 0;
}

void measure_tensor(Gpu& gpu, Recorder& recorder, TensorWay way) {
  if (!tensor_supported(way)) {
    recorder.absent(kGroup, "tensor_rate", way.name(),
                    "this GPU has no such instruction, or the program was built for another");
    return;
  }
  const device::Memory operands(kTensorOperandBytes);
  const auto n_sums = static_cast<size_t>(tensor_sums(way, gpu.processors()));
  const device::Memory sums(static_cast<int64_t>(n_sums * sizeof(float)));
  const auto launch = [&] {
    return multiply_tiles(way, gpu.processors(), operands.data(),
                          reinterpret_cast<float*>(sums.data()), gpu.stream());
  };
  const auto read_sums = [&] {
    gpu.stream().wait();
    std::vector<float> values(n_sums);
    DS4_CUDA(
        cudaMemcpy(values.data(), sums.data(), n_sums * sizeof(float), cudaMemcpyDeviceToHost));
    return values;
  };

  // The operations that are claimed are those that were done.
  const std::vector<uint32_t> ones(kTensorOperandBytes / 4, tensor_ones(way.type));
  DS4_CUDA(cudaMemcpy(operands.data(), ones.data(), kTensorOperandBytes, cudaMemcpyHostToDevice));
  poison(sums.data(), sums.bytes(), gpu.stream());
  const double claimed = launch();
  const std::vector<float> counted = read_sums();
  DS4_CHECK(2 * std::accumulate(counted.begin(), counted.end(), 0.0) == claimed,
            "the tensor cores did other operations than are counted");

  const Fill fill = way.type == TensorType::kBf16  ? Fill::kBf16
                    : way.type == TensorType::kFp8 ? Fill::kE4m3
                                                   : Fill::kBits;
  fill_random(operands.data(), operands.bytes(), fill, 3, gpu.stream());
  poison(sums.data(), sums.bytes(), gpu.stream());
  recorder.measure(kGroup, "tensor_rate", way.name(),
                   [&] { return claimed / gpu.seconds([&] { launch(); }, true); });
  const std::vector<float> values = read_sums();
  DS4_CHECK(
      std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v) && v != 0; }),
      "the tensor cores gave no sums");
}

// What the chip's own numbers allow: what datasheets state.
static void add_peaks(const Gpu& gpu, Recorder& recorder) {
  if (const double peak = gpu.memory_peak(); peak > 0) {
    recorder.add(kGroup, "memory_peak", "pins x clock", peak);
  }
  for (const TensorWay way : kTensorWays) {
    const double peak = tensor_peak(gpu, way.name());
    if (peak > 0 && tensor_supported(way) &&
        recorder.median("tensor_peak", tensor_name(way.type)) == 0) {
      recorder.add(kGroup, "tensor_peak", tensor_name(way.type), peak);
    }
  }
}

std::vector<Probe> ceiling_probes(const std::shared_ptr<Gpu>& gpu, bool quick) {
  const auto probe = [&](const char* name, double expected_s, auto measure) {
    return Probe{kGroup, name, expected_s,
                 [gpu, quick, measure](Recorder& recorder) { measure(*gpu, recorder, quick); }};
  };
  std::vector<Probe> probes{
      probe("peaks", 0.1, [](Gpu& g, Recorder& r, bool) { add_peaks(g, r); }),
      probe("reads, F32", 1, [](Gpu& g, Recorder& r, bool q) { measure_read(g, r, q); }),
      probe("reads, 16 bits", 1,
            [](Gpu& g, Recorder& r, bool q) {
              measure_reading(g, r, q, Reading::kBf16, "BF16 sums");
            }),
      probe("writes", 1, measure_writes),
      probe("copies", 1, measure_copies),
      probe("reads and writes", 1, measure_mix),
      probe("working sets", 1.5, measure_working_sets),
      probe("random pages", 0.5, measure_pages)};
  for (const TensorWay way : kTensorWays) {
    probes.push_back(probe("tensor cores", 0.5,
                           [way](Gpu& g, Recorder& r, bool) { measure_tensor(g, r, way); }));
  }
  return probes;
}

}  // namespace ds4::probes

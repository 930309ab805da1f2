#include "probes/device/gemv_bench.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "engine/device/error.h"
#include "probes/device/fill.h"
#include "probes/device/gemv_reference.h"
#include "probes/device/graph.h"

namespace ds4::probes {
namespace {

using enum WeightFormat;

constexpr int kMostMatrices = 64;
constexpr int kSampledRows = 6;

int64_t padded(int64_t bytes) {
  return std::max<int64_t>(16, (bytes + 15) / 16 * 16);
}

Fill fill_of_codes(WeightFormat format) {
  return format == kBf16 ? Fill::kBf16 : format == kFp8 ? Fill::kE4m3 : Fill::kBits;
}

Fill fill_of_scales(WeightFormat format) {
  switch (format) {
    case kFp8:
    case kMxfp4:
      return Fill::kE8m0;
    case kNvfp4:
      return Fill::kE4m3Scale;
    case kQ2K:
      return Fill::kBits;
    default:
      return Fill::kF16Scale;
  }
}

device::Memory upload(const std::vector<std::byte>& bytes) {
  device::Memory memory(static_cast<int64_t>(bytes.size()));
  DS4_CUDA(cudaMemcpy(memory.data(), bytes.data(), bytes.size(), cudaMemcpyHostToDevice));
  return memory;
}

// Numbers that f16 and bf16 both hold: eight bits.
std::vector<float> random_input(int64_t count) {
  std::minstd_rand random(17);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = (static_cast<float>(random() % 255) - 127) / 64;
  return values;
}

std::vector<std::byte> part_of(const device::Memory& memory, int64_t at, int64_t bytes) {
  std::vector<std::byte> part(static_cast<size_t>(bytes));
  if (bytes > 0) {
    DS4_CUDA(cudaMemcpy(part.data(), memory.data() + at, part.size(), cudaMemcpyDeviceToHost));
  }
  return part;
}

}  // namespace

const char* gemv_name(WeightFormat format) {
  switch (format) {
    case kBf16:
      return "BF16";
    case kFp8:
      return "FP8 128x128";
    case kQ8_0:
      return "Q8_0";
    case kMxfp4:
      return "MXFP4";
    case kNvfp4:
      return "NVFP4";
    case kNvfp4Plain:
      return "NVFP4 no scales";
    case kInt4:
      return "INT4 g128";
    case kQ2K:
      return "Q2_K";
    case kIq2Xxs:
      break;
  }
  return "IQ2_XXS";
}

GemvBench::GemvBench(Gpu& gpu, WeightFormat format, GemvShape shape, int64_t bytes)
    : gpu_(gpu),
      format_(format),
      shape_(shape),
      bytes_(gemv_bytes(format, shape)),
      matrices_(static_cast<int>(std::clamp<int64_t>(bytes / bytes_.all(), 1, kMostMatrices))),
      values_(random_input(int64_t{kMostColumns} * shape.columns)),
      codes_(bytes_.codes * matrices_),
      scales_(padded(bytes_.scales) * matrices_),
      blocks_(padded(bytes_.blocks) * matrices_),
      x_(upload(arrange_input(format, values_, shape.columns / kChunk))),
      sums_(upload(sum_input(values_, shape.columns / kChunk))),
      y_(int64_t{kMostColumns} * shape.rows * 4) {
  fill_random(codes_.data(), codes_.bytes(), fill_of_codes(format), 11, gpu.stream());
  fill_random(scales_.data(), scales_.bytes(), fill_of_scales(format), 12, gpu.stream());
  fill_random(blocks_.data(), blocks_.bytes(), Fill::kF16Scale, 13, gpu.stream());
}

GemvMatrix GemvBench::matrix(int index) const {
  return {codes_.data() + index * bytes_.codes, scales_.data() + index * padded(bytes_.scales),
          blocks_.data() + index * padded(bytes_.blocks)};
}

void GemvBench::launch(int index, int n_x, int warps, bool arithmetic) {
  launch_gemv(format_, shape_, matrix(index), {x_.data(), sums_.data()}, n_x, warps, arithmetic,
              reinterpret_cast<float*>(y_.data()), gpu_.stream());
}

double GemvBench::seconds(int n_x, int warps, bool arithmetic) {
  const auto all = [&] {
    for (int i = 0; i < matrices_; ++i) launch(i, n_x, warps, arithmetic);
  };
  if (matrices_ == 1) return gpu_.seconds(all);
  if (const std::tuple key{n_x, warps, arithmetic}; !graph_ || key != recorded_) {
    graph_ = std::make_unique<Graph>(gpu_.stream(), all);
    recorded_ = key;
    graph_->replay();  // the first also brings it to the device
  }
  return gpu_.seconds([&] { graph_->replay(); }) / matrices_;
}

int GemvBench::best_warps(int n_x, bool arithmetic) {
  int best = 1;
  double best_s = std::numeric_limits<double>::infinity();
  for (const int warps : {1, 2, 4, 8}) {
    double least = std::numeric_limits<double>::infinity();
    for (int i = 0; i < 3; ++i) least = std::min(least, seconds(n_x, warps, arithmetic));
    if (least < best_s) best_s = least, best = warps;
  }
  return best;
}

double GemvBench::worst_error(int n_x, int warps, double spoil) {
  const int chunks = shape_.columns / kChunk;
  const auto columns = static_cast<size_t>(shape_.columns);
  std::minstd_rand random(23);
  double worst = 0;
  for (const int index : {0, matrices_ - 1}) {
    poison(y_.data(), y_.bytes(), gpu_.stream());
    launch(index, n_x, warps, true);
    gpu_.stream().wait();
    std::vector<float> y(static_cast<size_t>(n_x) * static_cast<size_t>(shape_.rows));
    DS4_CUDA(cudaMemcpy(y.data(), y_.data(), y.size() * 4, cudaMemcpyDeviceToHost));
    if (!std::all_of(y.begin(), y.end(), [](float v) { return std::isfinite(v); })) {
      return std::numeric_limits<double>::infinity();
    }
    for (int sample = 0; sample < kSampledRows; ++sample) {
      const int row = sample == 0 ? 0
                      : sample == 1
                          ? shape_.rows - 1
                          : static_cast<int>(random() % static_cast<unsigned>(shape_.rows));
      const int64_t tile = row / kTileRows;
      TileBytes bytes;
      const auto plane = [&](const device::Memory& memory, int64_t stride, int64_t per_chunk) {
        return part_of(memory, index * stride + tile * chunks * per_chunk, chunks * per_chunk);
      };
      bytes.codes = plane(codes_, bytes_.codes, code_bytes(format_));
      bytes.scales = plane(scales_, padded(bytes_.scales), scale_bytes(format_));
      bytes.blocks = plane(blocks_, padded(bytes_.blocks), block_bytes(format_));
      if (format_ == kFp8) {
        bytes.fp8_scales = part_of(scales_, index * padded(bytes_.scales) + tile / 8 * chunks * 2,
                                   int64_t{chunks} * 2);
      }
      const std::vector<double> weights = decode_row(format_, bytes, row % kTileRows, chunks);
      for (int m = 0; m < n_x; ++m) {
        double sum = 0, size = 0;
        for (size_t k = 0; k < columns; ++k) {
          double x = static_cast<double>(values_[static_cast<size_t>(m) * columns + k]);
          if (k == columns / 2) x *= spoil;
          sum += weights[k] * x;
          size += std::abs(weights[k] * x);
        }
        const auto at =
            static_cast<size_t>(m) * static_cast<size_t>(shape_.rows) + static_cast<size_t>(row);
        worst = std::max(worst, std::abs(static_cast<double>(y[at]) - sum) / size);
      }
    }
  }
  return worst;
}

}  // namespace ds4::probes

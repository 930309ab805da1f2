// Stage set-up and launches; see stage.hpp.
#include "stage.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace ds4::bench {
namespace {

constexpr int kRowCounts[] = {1, 2, 3, 4, 8};

}  // namespace

const std::vector<Variant>& variants() {
  static const std::vector<Variant> list = {
      {Design::kFma, Layout::kNative, false, "fma native"},
      {Design::kBits, Layout::kNative, false, "mma-bits native"},
      {Design::kBits, Layout::kNative, true, "mma-bits native pipe"},
      {Design::kBits, Layout::kUnits, false, "mma-bits repacked"},
      {Design::kBits, Layout::kUnits, true, "mma-bits repacked pipe"},
      {Design::kCvt, Layout::kNative, false, "mma-cvt native"},
      {Design::kCvt, Layout::kNative, true, "mma-cvt native pipe"},
      {Design::kCvt, Layout::kUnits, false, "mma-cvt repacked"},
      {Design::kCvt, Layout::kUnits, true, "mma-cvt repacked pipe"},
      {Design::kE4m3, Layout::kNative, false, "mma-e4m3 native"},
      {Design::kE4m3, Layout::kNative, true, "mma-e4m3 native pipe"},
      {Design::kE4m3, Layout::kUnits, false, "mma-e4m3 repacked"},
      {Design::kE4m3, Layout::kUnits, true, "mma-e4m3 repacked pipe"},
      {Design::kPrescale, Layout::kNative, false, "mma-prescale native"},
      {Design::kPrescale, Layout::kNative, true, "mma-prescale native pipe"},
      {Design::kBits, Layout::kWords, false, "mma-bits words"},
      {Design::kBits, Layout::kWords, true, "mma-bits words pipe"},
      {Design::kBits, Layout::kPlanes, false, "mma-bits planes"},
      {Design::kBits, Layout::kPlanes, true, "mma-bits planes pipe"},
      {Design::kE4m3, Layout::kWords, false, "mma-e4m3 words"},
      {Design::kE4m3, Layout::kWords, true, "mma-e4m3 words pipe"},
  };
  return list;
}

int distinct_experts(int rows, int n_experts) {
  return static_cast<int>(std::lround(
      n_experts * (1.0 - std::pow(1.0 - static_cast<double>(kTopK) / n_experts, rows))));
}

Stage::Stage(const StageShape& shape, int n_experts, std::size_t min_bytes, std::uint64_t seed)
    : shape_(shape) {
  const std::size_t matrix = shape.n * row_bytes(shape.format, shape.k);
  const std::size_t scale = scale_bytes(shape.format, shape.n, shape.k);
  if (shape.dense_jobs == 0) {
    n_matrices_ = n_experts;
  } else {
    const std::size_t launch_bytes = shape.dense_jobs * matrix;
    n_matrices_ =
        static_cast<int>(std::max<std::size_t>(1, (min_bytes + launch_bytes - 1) / launch_bytes)) *
        shape.dense_jobs;
  }
  const std::size_t rows = static_cast<std::size_t>(n_matrices_) * shape.n;

  DeviceBytes native(matrix * n_matrices_);
  fill_weights(shape.format, native.as(), native.size(), seed);
  scales_ = DeviceBytes(scale * n_matrices_);
  fill_scales(scales_.as(), scale * n_matrices_, seed + 1'000'003);
  for (const Variant& v : variants()) {
    if (v.layout == Layout::kNative || !exists(shape.format, shape.quantised_x, v)) continue;
    if (weights_.count(v.layout) != 0) continue;
    DeviceBytes repacked(native.size());
    repack_weights(shape.format, v.layout, native.as(), repacked.as(), rows, shape.k);
    weights_.emplace(v.layout, std::move(repacked));
  }
  if (shape.format == Format::kFp4) {
    fragment_scales_ = DeviceBytes(scale * n_matrices_);
    repack_fp4_scales(scales_.as(), fragment_scales_.as(), rows, shape.k);
  }
  weights_.emplace(Layout::kNative, std::move(native));

  const std::size_t x_rows = static_cast<std::size_t>(kMaxCols) * std::max(shape.dense_jobs, kTopK);
  if (shape.quantised_x) {
    x_ = DeviceBytes(x_rows * shape.k);
    x_scale_ = DeviceBytes(x_rows * (shape.k / kGroup) * sizeof(float));
    fill_x_quantised(x_.as(), x_scale_.as<float>(), x_rows, shape.k, seed + 2'000'003);
  } else {
    x_ = DeviceBytes(x_rows * shape.k * 2);
    fill_x_bf16(x_.as<std::uint16_t>(), x_rows, shape.k, seed + 2'000'003);
  }
  for (const Variant& v : variants()) {
    if (!exists(shape.format, shape.quantised_x, v)) continue;
    const XOrder order = x_order(shape.format, shape.quantised_x, v);
    const std::pair<int, int> key(static_cast<int>(order.type), static_cast<int>(order.order));
    if (arranged_x_.count(key) != 0) continue;
    DeviceBytes x(x_rows * shape.k * 2);
    arrange_x(order, shape.quantised_x, x_.as(), x_scale_.as<float>(), x.as(), x_rows, shape.k);
    arranged_x_.emplace(key, std::move(x));
  }

  if (shape.dense_jobs != 0) return;
  for (const int n_rows : kRowCounts) {
    const int distinct = matrices_per_launch(n_rows);
    std::vector<Job> table(static_cast<std::size_t>(regions(n_rows)) * distinct);
    std::memset(table.data(), 0, table.size() * sizeof(Job));
    for (int region = 0; region < regions(n_rows); ++region) {
      Job* jobs = &table[static_cast<std::size_t>(region) * distinct];
      for (int i = 0; i < distinct; ++i) jobs[i].matrix = (region * distinct + i) % n_matrices_;
      // distinct >= kTopK, so the pairs an expert gets belong to different rows.
      for (int pair = 0; pair < pairs(n_rows); ++pair) {
        Job& job = jobs[pair % distinct];
        job.x_row[job.n_cols] = shape.x_per_pair ? pair : pair / kTopK;
        job.out_row[job.n_cols++] = pair;
      }
    }
    DeviceBytes bytes(table.size() * sizeof(Job));
    DS4_BENCH_CUDA(cudaMemcpy(bytes.as(), table.data(), bytes.size(), cudaMemcpyHostToDevice));
    jobs_.emplace(n_rows, std::move(bytes));
  }
}

int Stage::pairs(int rows) const {
  return rows * kTopK;
}

int Stage::matrices_per_launch(int rows) const {
  return shape_.dense_jobs != 0 ? shape_.dense_jobs : distinct_experts(rows, n_matrices_);
}

std::size_t Stage::bytes_per_launch(int rows) const {
  const std::size_t matrix = shape_.n * row_bytes(shape_.format, shape_.k) +
                             scale_bytes(shape_.format, shape_.n, shape_.k);
  return matrices_per_launch(rows) * matrix;
}

int Stage::regions(int rows) const {
  return std::max(1, n_matrices_ / matrices_per_launch(rows));
}

std::size_t Stage::out_floats(int rows) const {
  return static_cast<std::size_t>(shape_.dense_jobs != 0 ? rows * shape_.dense_jobs : pairs(rows)) *
         shape_.n;
}

Args Stage::args(Layout layout, int rows, int region) const {
  region %= regions(rows);
  Args a{};
  a.w = weights_.at(layout).as();
  a.scale = layout != Layout::kNative && shape_.format == Format::kFp4 ? fragment_scales_.as()
                                                                       : scales_.as();
  a.w_stride = shape_.n * row_bytes(shape_.format, shape_.k);
  a.scale_stride = scale_bytes(shape_.format, shape_.n, shape_.k);
  a.n = shape_.n;
  a.k = shape_.k;
  a.n_jobs = matrices_per_launch(rows);
  a.n_cols = rows;
  a.first_matrix = region * a.n_jobs;
  a.k_warps = 1;
  if (shape_.dense_jobs == 0) {
    a.jobs = jobs_.at(rows).as<Job>() + static_cast<std::size_t>(region) * a.n_jobs;
  }
  return a;
}

void Stage::launch(const Variant& variant, int k_warps, int rows, int region, float* out,
                   cudaStream_t stream, bool early_start) const {
  Args a = args(variant.layout, rows, region);
  const XOrder order = x_order(shape_.format, shape_.quantised_x, variant);
  a.x = arranged_x_.at({static_cast<int>(order.type), static_cast<int>(order.order)}).as();
  const bool x_has_scale =
      order.type == XOrder::Type::kBf16 || order.type == XOrder::Type::kBf16Biased;
  a.x_scale = x_has_scale ? nullptr : x_scale_.as<float>();
  a.out = out;
  a.k_warps = k_warps;
  a.early_start = early_start;
  if (variant.design == Design::kFma) {
    const int most_pairs = (pairs(rows) + a.n_jobs - 1) / a.n_jobs;
    launch_fma(shape_.format, shape_.quantised_x, shape_.dense_jobs != 0 ? rows : most_pairs, a,
               stream);
  } else {
    launch_mma(shape_.format, shape_.quantised_x, variant, a, stream);
  }
  DS4_BENCH_CUDA(cudaGetLastError());
}

void Stage::launch_reference(int rows, int region, double* out) const {
  const Args a = args(Layout::kNative, rows, region);
  reference(shape_.format, shape_.quantised_x, a, x_.as(), x_scale_.as<float>(), rows, out);
}

}  // namespace ds4::bench

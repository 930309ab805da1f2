// Products with 1 to 8 rows in every weight format: on one matrix as large as memory allows, and at
// the shapes of the model. What binds them is told by the same loads without the arithmetic.
#include "probes/device/gemv_probes.h"

#include <algorithm>
#include <string>

#include "engine/base/check.h"
#include "engine/base/units.h"
#include "probes/device/ceilings.h"
#include "probes/device/gemv_bench.h"

namespace ds4::probes {
namespace {

constexpr const char* kGroup = "gemv";
constexpr int kWideRows = 32768;
constexpr int kMostColumnsOfWide = 131072;
// Bytes of the wide matrix: as many as the ceiling reads in this time, against which a kernel's
// start and end are little, but many times L2.
constexpr double kWideSeconds = 0.45e-3;
constexpr int64_t kWideCaches = 16;
constexpr int64_t kModelBytes = int64_t{512} << 20;
constexpr double kMemoryShare = 0.15;  // of what is free
constexpr double kAgree = 2e-6;        // of sum |w x|: sums in f32 over up to 131,072 products
constexpr double kNearCeiling = 0.9;   // of the read ceiling: bound by memory

struct ModelShape {
  const char* name;
  GemvShape shape;
};
// One decode step of DeepSeek-V4-Flash; six experts side by side as one matrix.
constexpr ModelShape kModelShapes[] = {{"wq_a + wkv", {1536, 4096}},
                                       {"wq_b", {32768, 1024}},
                                       {"wo_a", {8192, 4096}},
                                       {"wo_b", {4096, 8192}},
                                       {"6 experts, gate + up", {24576, 4096}},
                                       {"6 experts, down", {24576, 2048}},
                                       {"shared gate + up", {4096, 4096}},
                                       {"shared down", {4096, 2048}},
                                       {"head", {129280, 4096}}};

std::string percent(double share) {
  return format_number(100 * share) + " %";
}

double read_ceiling(Gpu& gpu, Recorder& recorder) {
  if (const double known = recorder.median("read_rate", kReadCeiling); known > 0) return known;
  return measure_read(gpu, recorder, true).median();
}

void check(GemvBench& bench, WeightFormat format, int n_x, int warps) {
  const double error = bench.worst_error(n_x, warps);
  DS4_CHECK(error < kAgree, std::string("a product of ") + gemv_name(format) + " is wrong by " +
                                format_number(error));
}

// What most of the time beyond the ceiling's goes to: to loading as this kernel must (its start and
// end, activations), or to arithmetic.
std::string bound_text(double rate, double plain_rate, double ceiling) {
  if (rate >= kNearCeiling * ceiling) return "memory";
  const double arithmetic = std::max(0.0, 1 - rate / plain_rate);
  const double loading = std::max(0.0, 1 - rate / ceiling - arithmetic);
  const std::string by_loading = "loading (" + percent(loading) + " of the time)";
  const std::string by_arithmetic = "arithmetic (" + percent(arithmetic) + " of the time)";
  return loading > arithmetic ? by_loading + ", then " + by_arithmetic
                              : by_arithmetic + ", then " + by_loading;
}

// `plain`: also the rate without arithmetic, and so what binds.
void measure(Gpu& gpu, Recorder& recorder, GemvBench& bench, WeightFormat format,
             const std::string& of, int n_x, bool plain) {
  const double ceiling = read_ceiling(gpu, recorder);
  const int warps = bench.best_warps(n_x, true);
  check(bench, format, n_x, warps);
  const auto bytes = static_cast<double>(bench.bytes());
  double plain_rate = 0;
  if (plain) {
    const int plain_warps = bench.best_warps(n_x, false);
    plain_rate = recorder
                     .measure(kGroup, "gemv_plain_rate", of,
                              [&] { return bytes / bench.seconds(n_x, plain_warps, false); })
                     .median();
  }
  Series& series = recorder.measure(kGroup, "gemv_rate", of,
                                    [&] { return bytes / bench.seconds(n_x, warps, true); });
  series.note = percent(series.median() / ceiling) + " of the read ceiling";
  if (plain) series.note += ", bound by " + bound_text(series.median(), plain_rate, ceiling);
}

std::string rows_text(int n_x) {
  return ", M = " + std::to_string(n_x);
}

void measure_wide(Gpu& gpu, Recorder& recorder, WeightFormat format) {
  const auto wanted = std::max(kWideCaches * gpu.l2_bytes(),
                               static_cast<int64_t>(read_ceiling(gpu, recorder) * kWideSeconds));
  const int64_t bytes = Gpu::fitting(wanted, kMemoryShare);
  const int64_t per_column = gemv_bytes(format, {kWideRows, kChunk}).all();
  const auto columns = static_cast<int>(
      std::clamp<int64_t>(bytes / per_column * kChunk, kChunk, kMostColumnsOfWide));
  const GemvShape shape{kWideRows, columns};
  GemvBench bench(gpu, format, shape, 0);
  for (int n_x = 1; n_x <= kMostColumns; ++n_x) {
    measure(
        gpu, recorder, bench, format,
        std::string(gemv_name(format)) + ", 32768 x " + std::to_string(columns) + rows_text(n_x),
        n_x, true);
  }
}

void measure_model(Gpu& gpu, Recorder& recorder, WeightFormat format, bool quick) {
  for (const ModelShape& model : kModelShapes) {
    GemvBench bench(gpu, format, model.shape, Gpu::fitting(kModelBytes, kMemoryShare));
    for (const int n_x : {1, 8}) {
      if (quick && n_x > 1) break;
      measure(gpu, recorder, bench, format,
              std::string(gemv_name(format)) + ", " + model.name + rows_text(n_x), n_x, !quick);
    }
  }
}

}  // namespace

std::vector<Probe> gemv_probes(const std::shared_ptr<Gpu>& gpu, bool quick) {
  std::vector<Probe> probes;
  for (const WeightFormat format : kWeightFormats) {
    const std::string name = gemv_name(format);
    probes.push_back({kGroup, "products, " + name, 1,
                      [gpu, format](Recorder& r) { measure_wide(*gpu, r, format); }});
    probes.push_back(
        {kGroup, "products of the model's shapes, " + name, 1,
         [gpu, format, quick](Recorder& r) { measure_model(*gpu, r, format, quick); }});
  }
  return probes;
}

}  // namespace ds4::probes

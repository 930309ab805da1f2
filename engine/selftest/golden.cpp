#include "engine/selftest/golden.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/base/error.h"
#include "engine/weights/containers/safetensors.h"

namespace ds4::selftest {
namespace fs = std::filesystem;
namespace {

// f32 has no rounding points; only the order of summation separates an engine from float64, which
// moves logits by 4e-7 at most, whatever the device (kF32Bound). The smallest fault of
// docs/faults.md is far above. In the reference precision a sum may land on the other side of a
// rounding boundary. One layer cannot cascade, so most positions agree as closely as f32 does; how
// far the quartile may go where more of them differ is measured by the reference itself (its
// noise).
constexpr double kNoiseMargin = 4;

const char* set_name(Precision precision) {
  return precision == Precision::kF32 ? "f32" : "reference";
}

const weights::TensorHeader* find(const weights::SafetensorsFile& file, const std::string& name) {
  for (const weights::TensorHeader& tensor : file.tensors()) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

template <class T>
std::vector<T> values(const weights::SafetensorsFile& file, const std::string& name) {
  const weights::TensorHeader* tensor = find(file, name);
  if (!tensor || weights::dtype_bytes(tensor->dtype) != sizeof(T)) {
    throw Error(ErrorCode::kCheckpoint,
                file.path().string() + ": " + name + " is missing or of another type",
                "Golden files are made by tests/golden/make_micro.py and make_tiny.py.");
  }
  const auto bytes = file.data(*tensor);
  std::vector<T> result(bytes.size() / sizeof(T));
  if (!result.empty()) std::memcpy(result.data(), bytes.data(), bytes.size());
  return result;
}

bool wanted(int64_t position, Positions which) {
  const bool ends = position % 4 == 3;
  return which == Positions::kAll || ends == (which == Positions::kBlockEnds);
}

double upper_quartile(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() * 3 / 4];
}

/// Relative errors of the golden positions that `which` names.
std::vector<double> position_errors(std::span<const float> got, const Golden& golden,
                                    Positions which) {
  if (got.size() != golden.logits.size()) return {std::numeric_limits<double>::infinity()};
  double largest = 0;
  for (const float w : golden.logits) largest = std::max(largest, std::fabs(double{w}));
  const size_t vocab = golden.logits.size() / golden.positions.size();
  std::vector<double> errors;
  for (size_t i = 0; i < golden.positions.size(); ++i) {
    if (!wanted(golden.positions[i], which)) continue;
    double error = 0;
    for (size_t j = i * vocab; j < (i + 1) * vocab; ++j) {
      error = std::max(error, std::isfinite(got[j]) ? std::fabs(double{got[j]} - golden.logits[j])
                                                    : std::numeric_limits<double>::infinity());
    }
    errors.push_back(error / largest);
  }
  return errors;
}

}  // namespace

Golden read_golden(const fs::path& path, Precision precision, int64_t total) {
  const weights::SafetensorsFile file(path);
  const std::string set = set_name(precision);
  Golden golden;
  golden.precision = precision;
  const auto stored = values<int32_t>(file, "tokens");
  const size_t n = total ? static_cast<size_t>(total) : stored.size();
  for (size_t i = 0; i < n; ++i) golden.tokens.push_back(stored[i % stored.size()]);
  golden.positions = values<int64_t>(file, "positions");
  golden.logits = values<float>(file, set + "/logits");
  golden.noise = values<float>(file, set + "/noise");
  return golden;
}

bool has_golden(const fs::path& path, Precision precision) {
  const std::string logits = std::string(set_name(precision)) + "/logits";
  return find(weights::SafetensorsFile(path), logits) != nullptr;
}

int64_t read_answer_begin(const fs::path& path) {
  return values<int64_t>(weights::SafetensorsFile(path), "answer_begin").at(0);
}

std::vector<GoldenDraw> read_draws(const fs::path& path) {
  const auto numbers = values<double>(weights::SafetensorsFile(path), "draws");
  constexpr size_t kColumns = 12;  // make_micro.py names them
  std::vector<GoldenDraw> draws;
  for (size_t at = 0; at + kColumns <= numbers.size(); at += kColumns) {
    const double* row = numbers.data() + at;
    SamplingSettings sampling;
    sampling.temperature = row[0];
    sampling.top_p = row[1];
    sampling.top_k = static_cast<int64_t>(row[2]);
    sampling.min_p = row[3];
    sampling.repetition_penalty = row[4];
    sampling.presence_penalty = row[5];
    sampling.frequency_penalty = row[6];
    if (row[8] != 0) {
      sampling.logit_bias = {{static_cast<TokenId>(row[7]), static_cast<float>(row[8])}};
    }
    sampling.seed = static_cast<uint64_t>(row[9]);
    sampling.sequence = static_cast<uint64_t>(row[10]);
    draws.push_back({std::move(sampling), static_cast<TokenId>(row[11])});
  }
  return draws;
}

std::vector<int64_t> read_rounds(const fs::path& path) {
  return values<int64_t>(weights::SafetensorsFile(path), "rounds");
}

Measured compare_golden(const Bench& bench, const fs::path& model, const Golden& golden,
                        Positions which) {
  const auto n = static_cast<int64_t>(golden.tokens.size());
  const auto engine = bench.make(model, bench.settings(golden.precision, n, 512));
  const auto session = engine->new_session();
  const auto vocab = static_cast<size_t>(engine->info().vocab_size);
  std::vector<float> got;
  auto next = golden.positions.begin();
  if (*next > 0) session->extend_to(std::span(golden.tokens).first(static_cast<size_t>(*next)));
  session->extend_to(golden.tokens, nullptr, [&](int64_t first, std::span<const float> rows) {
    for (size_t i = 0; i < rows.size() / vocab; ++i) {
      if (next == golden.positions.end() || *next != first + static_cast<int64_t>(i)) continue;
      const auto row = rows.subspan(i * vocab, vocab);
      got.insert(got.end(), row.begin(), row.end());
      ++next;
    }
  });
  std::vector<double> errors = position_errors(got, golden, which);
  if (golden.precision == Precision::kF32) {
    return {*std::max_element(errors.begin(), errors.end()), kF32Bound};
  }
  const std::vector<double> noise(golden.noise.begin(), golden.noise.end());
  return {upper_quartile(std::move(errors)), kF32Bound + kNoiseMargin * upper_quartile(noise)};
}

}  // namespace ds4::selftest

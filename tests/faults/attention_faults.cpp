// Faults of attention, rotations and hyper-connections (traps T3-T5, T14, T16, T17).
#include <algorithm>
#include <cmath>

#include "engine/ops/rope.h"
#include "engine/weights/codecs/e4m3.h"
#include "tests/faults/fault.h"

namespace ds4::faults {
namespace {

using namespace ops;  // NOLINT: every signature here is one of theirs

template <int kChange>
class OtherWindow final : public Spoiled {
 public:
  using Spoiled::Spoiled;
  void attend(const KeySet& keys, std::span<const float> sinks, Segments segments, Floats rotation,
              Values q, Values o) override {
    KeySet other = keys;
    other.window += kChange;
    inner().attend(other, sinks, segments, rotation, q, o);
  }
};

/// The rotation of the output: cosines times kCosine plus 1 - |kCosine|, sines times kSine.
template <int kCosine, int kSine>
class OtherInverse final : public Spoiled {
 public:
  using Spoiled::Spoiled;
  void attend(const KeySet& keys, std::span<const float> sinks, Segments segments, Floats rotation,
              Values q, Values o) override {
    const int64_t half = rotation.cols / 2;
    const int64_t n = rows_of(segments);
    std::vector<float> table(floats(rotation), floats(rotation) + n * rotation.cols);
    for (int64_t i = 0; i < n * rotation.cols; ++i) {
      float& value = table[static_cast<size_t>(i)];
      value = i % rotation.cols < half ? kCosine * value + (1 - kCosine) : kSine * value;
    }
    inner().attend(keys, sinks, segments,
                   {reinterpret_cast<std::byte*>(table.data()), rotation.cols}, q, o);
  }
};

class Rotations : public Spoiled {
 public:
  Rotations(std::unique_ptr<Backend> inner, const Setting& setting)
      : Spoiled(std::move(inner), setting),
        plain_(rope_frequencies(config().qk_rope_head_dim, config().rope_theta, nullptr)),
        compressed_(rope_frequencies(config().qk_rope_head_dim, config().compress_rope_theta,
                                     config().rope_scaling ? &*config().rope_scaling : nullptr)) {}

 protected:
  const std::vector<float>& plain() const { return plain_; }
  const std::vector<float>& compressed() const { return compressed_; }
  /// Whether these are the frequencies of layers with a ratio, where the two differ at all.
  bool is_compressed(std::span<const float> frequencies) const {
    return plain_ != compressed_ &&
           std::equal(frequencies.begin(), frequencies.end(), compressed_.begin());
  }

 private:
  std::vector<float> plain_, compressed_;
};

class PlainQueriesInCompressedLayers final : public Rotations {
 public:
  using Rotations::Rotations;
  void rotation(std::span<const float> frequencies, Segments segments, Floats table) override {
    inner().rotation(is_compressed(frequencies) ? plain() : frequencies, segments, table);
  }
};

class YarnEverywhere final : public Rotations {
 public:
  using Rotations::Rotations;
  void rotation(std::span<const float>, Segments segments, Floats table) override {
    inner().rotation(compressed(), segments, table);
  }
};

class Magnitude final : public Rotations {
 public:
  using Rotations::Rotations;
  void rotation(std::span<const float> frequencies, Segments segments, Floats table) override {
    inner().rotation(frequencies, segments, table);
    if (!config().rope_scaling || !is_compressed(frequencies)) return;
    const auto factor = static_cast<float>(1 + 0.1 * std::log(config().rope_scaling->factor));
    const int64_t n = rows_of(segments) * table.cols;
    for (int64_t i = 0; i < n; ++i) floats(table)[i] *= factor;
  }
};

/// Range reduction by the f32 value of 2 pi, as fast sines do it.
class RoughReduction final : public Spoiled {
 public:
  using Spoiled::Spoiled;
  void rotation(std::span<const float> frequencies, Segments segments, Floats table) override {
    constexpr float kTurn = 6.28318530717958647692f;
    const size_t half = frequencies.size();
    for (const auto& [row, chunk] : segments) {
      for (int64_t i = 0; i < chunk.n; ++i) {
        float* out = floats(table) + (row + i) * table.cols;
        for (size_t pair = 0; pair < half; ++pair) {
          const float angle = static_cast<float>(chunk.first + i) * frequencies[pair];
          // volatile: the product must be rounded, not fused into the difference.
          const volatile float turns = std::nearbyint(angle / kTurn) * kTurn;
          const float rest = angle - turns;
          out[pair] = std::cos(rest);
          out[half + pair] = std::sin(rest);
        }
      }
    }
  }
};

class PositionsRestart final : public Spoiled {
 public:
  using Spoiled::Spoiled;
  void rotation(std::span<const float> frequencies, Segments segments, Floats table) override {
    std::vector<Segment> other(segments.begin(), segments.end());
    for (Segment& segment : other) {
      if (segment.chunk.n > 1) segment.chunk.first = 0;
    }
    inner().rotation(frequencies, other, table);
  }
};

class TransposedStreams final : public Spoiled {
 public:
  using Spoiled::Spoiled;
  void mix_in(const weights::HyperConnection& hc, const MixSettings& settings,
              std::span<const float> gain, int n, Values h, Floats mix, Values x) override {
    inner().mix_in(hc, settings, gain, n, h, mix, x);
    const int m = settings.streams;
    for (int i = 0; i < n; ++i) {
      float* comb = floats(mix) + i * mix.cols + 2 * m;
      for (int a = 0; a < m; ++a) {
        for (int b = a + 1; b < m; ++b) std::swap(comb[a * m + b], comb[b * m + a]);
      }
    }
  }
};

/// FP8 activations under the scale amax / 448 instead of a power of two.
class FinerScales final : public Spoiled {
 public:
  using Spoiled::Spoiled;
  void project(const weights::Matrix& w, int n, Values x, Values y) override {
    if (!w.quantised() || precision() == Precision::kF32) return inner().project(w, n, x, y);
    std::vector<float> rounded(floats(x), floats(x) + n * x.cols);
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t first = 0; first < x.cols; first += weights::kFp8Block) {
        float* block = rounded.data() + i * x.cols + first;
        const int64_t length = std::min(weights::kFp8Block, x.cols - first);
        float largest = 1e-4f;
        for (int64_t j = 0; j < length; ++j) largest = std::max(largest, std::fabs(block[j]));
        const float scale = largest / 448;
        for (int64_t j = 0; j < length; ++j) block[j] = nearest_e4m3(block[j] / scale) * scale;
      }
    }
    inner().project(w, n, {reinterpret_cast<std::byte*>(rounded.data()), x.cols}, y);
  }

 private:
  static float nearest_e4m3(float x) {
    if (x == 0) return 0;
    const int exponent = std::max(std::ilogb(x), -6);
    const float step = std::ldexp(1.0f, exponent - 3);
    return std::nearbyint(x / step) * step;
  }
};

/// A kernel for 16 rows at a time whose last, partial tile repeats the row before it.
class LastTileWrong final : public Spoiled {
 public:
  using Spoiled::Spoiled;
  void project(const weights::Matrix& w, int n, Values x, Values y) override {
    inner().project(w, n, x, y);
    if (n <= 16) return;
    for (int64_t i = n / 16 * 16; i < n; ++i) {
      std::copy_n(floats(y) + (n / 16 * 16 - 1) * y.cols, y.cols, floats(y) + i * y.cols);
    }
  }
};

}  // namespace

std::vector<Fault> attention_faults() {
  return {
      operation_fault<OtherWindow<-1>>("window one row too short", "window"),
      operation_fault<OtherWindow<1>>("window one row too long", "window"),
      operation_fault<OtherInverse<0, 0>>("attention output not rotated back", "inverse RoPE"),
      operation_fault<OtherInverse<1, -1>>("attention output rotated forward", "inverse RoPE"),
      operation_fault<PlainQueriesInCompressedLayers>(
          "compressed layers: queries and raw rows rotated by the plain theta",
          "theta of compressed layers"),
      operation_fault<YarnEverywhere>("window layers rotate with YaRN", "theta of window layers"),
      operation_fault<Magnitude>("YaRN magnitude factor applied", "YaRN"),
      operation_fault<RoughReduction>("angles reduced by an f32 2 pi", "angles far out"),
      operation_fault<PositionsRestart>("positions count from the start of a chunk",
                                        "chunk borders"),
      operation_fault<TransposedStreams>("stream matrix transposed", "mHC orientation"),
      operation_fault<FinerScales>("activation scales amax/448", "activation rounding"),
      operation_fault<LastTileWrong>("partial tile of 16 rows wrong", "chunk borders"),
  };
}

}  // namespace ds4::faults

// Faults of compressed rows, their visibility and the indexer (traps T6, T9, T10, T23).
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/weights/codecs/f32.h"
#include "tests/faults/fault.h"

namespace ds4::faults {
namespace {

using namespace ops;  // NOLINT: every signature here is one of theirs

template <int kRatio>
class RowsUnread final : public Spoiled {
 public:
  using Spoiled::Spoiled;
  void attend(const KeySet& keys, std::span<const float> sinks, Segments segments, Floats rotation,
              Values q, Values o) override {
    KeySet other = keys;
    if (keys.ratio == kRatio) {
      other.compressed = {};
      other.selected = {};
    }
    inner().attend(other, sinks, segments, rotation, q, o);
  }
};

/// Lists the rows that a query reads, all below `visible(position, chunk)`.
template <class Visible>
class OtherVisibility : public Spoiled {
 public:
  using Spoiled::Spoiled;
  void attend(const KeySet& keys, std::span<const float> sinks, Segments segments, Floats rotation,
              Values q, Values o) override {
    if (keys.compressed.empty()) return inner().attend(keys, sinks, segments, rotation, q, o);
    int64_t cols = std::max<int64_t>(1, keys.selected.data ? keys.selected.cols : 0);
    for (const Segment& s : segments) {
      cols = std::max(cols, (s.chunk.end() + keys.ratio - 1) / keys.ratio);
    }
    std::vector<int32_t> ids(static_cast<size_t>(rows_of(segments) * cols), -1);
    for (const auto& [row, chunk] : segments) {
      for (int64_t i = 0; i < chunk.n; ++i) {
        int32_t* to = ids.data() + (row + i) * cols;
        const int64_t limit = Visible()(chunk.first + i, chunk, keys.ratio);
        if (keys.selected.data) {
          const int32_t* from = ints(keys.selected) + (row + i) * keys.selected.cols;
          std::copy_if(from, from + keys.selected.cols, to,
                       [&](int32_t id) { return id >= 0 && id < limit; });
        } else {
          for (int32_t id = 0; id < limit; ++id) to[id] = id;
        }
      }
    }
    KeySet other = keys;
    other.selected = {reinterpret_cast<std::byte*>(ids.data()), cols};
    inner().attend(other, sinks, segments, rotation, q, o);
  }
};

struct OneBlockLate {
  int64_t operator()(int64_t position, Chunk, int ratio) const { return position / ratio; }
};
struct WholeChunk {
  int64_t operator()(int64_t, Chunk chunk, int ratio) const { return chunk.end() / ratio; }
};

/// Rotates the main rows of f32 and FP8 stores on to the block's last token.
class RotatedAtLastToken final : public Spoiled {
 public:
  using Spoiled::Spoiled;
  void compress(const CompressorStep& step, bool index, Segments segments, Floats kv,
                Floats score) override {
    inner().compress(step, index, segments, kv, score);
    if (index) return;
    const int ratio = step.parameters->ratio;
    for (size_t s = 0; s < segments.size(); ++s) {
      const Chunk chunk = segments[s].chunk;
      for (int64_t block = chunk.first / ratio; block < chunk.end() / ratio; ++block) {
        turn(step.rows[s].layout, step.rows[s].row(block), step.frequencies, ratio - 1);
      }
    }
  }

 private:
  static void turn(const RowLayout& layout, std::byte* row, std::span<const float> frequencies,
                   int by) {
    const bool f32 = layout.format == RowFormat::kF32;
    if (!f32 && layout.format != RowFormat::kFp8) return;
    std::byte* at = row + (f32 ? int64_t{4} * layout.nope_dim() : layout.rope_offset());
    for (const float f : frequencies) {
      const double angle = static_cast<double>(f) * by;
      const auto a = static_cast<double>(f32 ? weights::load_f32(at) : load_bf16(at));
      const auto b = static_cast<double>(f32 ? weights::load_f32(at + 4) : load_bf16(at + 2));
      const auto x = static_cast<float>(a * std::cos(angle) - b * std::sin(angle));
      const auto y = static_cast<float>(a * std::sin(angle) + b * std::cos(angle));
      if (f32) {
        std::memcpy(at, &x, 4);
        std::memcpy(at + 4, &y, 4);
      } else {
        store_bf16(x, at);
        store_bf16(y, at + 2);
      }
      at += f32 ? 8 : 4;
    }
  }
  static float load_bf16(const std::byte* from) {
    uint16_t bits = 0;
    std::memcpy(&bits, from, 2);
    const uint32_t wide = uint32_t{bits} << 16;
    float value = 0;
    std::memcpy(&value, &wide, 4);
    return value;
  }
  static void store_bf16(float value, std::byte* to) {
    uint32_t wide = 0;
    std::memcpy(&wide, &value, 4);
    const auto bits = static_cast<uint16_t>((wide + 0x7FFF + (wide >> 16 & 1)) >> 16);
    std::memcpy(to, &bits, 2);
  }
};

/// What the indexer chose, changed afterwards.
class FirstRows final : public Spoiled {
 public:
  using Spoiled::Spoiled;
  void select_rows(int heads, int ratio, Segments segments, Values iq, Values projected,
                   std::span<const RowStore> keys, Ids selected) override {
    inner().select_rows(heads, ratio, segments, iq, projected, keys, selected);
    for (int64_t i = 0; i < rows_of(segments); ++i) {
      int32_t* ids = ints(selected) + i * selected.cols;
      for (int32_t j = 0; j < selected.cols && ids[j] >= 0; ++j) ids[j] = j;
    }
  }
};

enum class HeadWeights { kNegated, kMagnitudes };
template <HeadWeights kHow>
class OtherHeadWeights final : public Spoiled {
 public:
  using Spoiled::Spoiled;
  void select_rows(int heads, int ratio, Segments segments, Values iq, Values projected,
                   std::span<const RowStore> keys, Ids selected) override {
    const int64_t n = rows_of(segments) * projected.cols;
    for (int64_t i = 0; i < n; ++i) {
      float& w = floats(projected)[i];
      w = kHow == HeadWeights::kNegated ? -w : std::fabs(w);
    }
    inner().select_rows(heads, ratio, segments, iq, projected, keys, selected);
  }
};

/// Each row's score as f32 keys give it, without the ReLU. Other stores are left alone.
class NoRelu final : public Spoiled {
 public:
  using Spoiled::Spoiled;
  void select_rows(int heads, int ratio, Segments segments, Values iq, Values projected,
                   std::span<const RowStore> keys, Ids selected) override {
    inner().select_rows(heads, ratio, segments, iq, projected, keys, selected);
    if (keys.front().layout.format != RowFormat::kF32) return;
    const int64_t dim = iq.cols / heads;
    for (size_t s = 0; s < segments.size(); ++s) {
      for (int64_t i = 0; i < segments[s].chunk.n; ++i) {
        const int64_t row = segments[s].row + i;
        const int64_t visible = (segments[s].chunk.first + i + 1) / ratio;
        std::vector<std::pair<float, int32_t>> scores;
        for (int64_t r = 0; r < visible; ++r) {
          const auto* key = reinterpret_cast<const float*>(keys[s].row(r));
          float score = 0;
          for (int64_t h = 0; h < heads; ++h) {
            const float* q = floats(iq) + row * iq.cols + h * dim;
            float dot = 0;
            for (int64_t d = 0; d < dim; ++d) dot += q[d] * key[d];
            score += dot * floats(projected)[row * projected.cols + h];
          }
          scores.emplace_back(-score, static_cast<int32_t>(r));
        }
        std::sort(scores.begin(), scores.end());
        scores.resize(static_cast<size_t>(std::min(visible, selected.cols)));
        int32_t* ids = ints(selected) + row * selected.cols;
        for (size_t j = 0; j < scores.size(); ++j) ids[j] = scores[j].second;
        std::sort(ids, ids + scores.size());
      }
    }
  }
};

class IndexQueriesUnrotated final : public Spoiled {
 public:
  using Spoiled::Spoiled;
  void finish_index_queries(int heads, RowFormat keys, int n, Floats rotation, Values iq) override {
    std::vector<float> table(static_cast<size_t>(n * rotation.cols), 0.0f);
    for (int64_t i = 0; i < n; ++i) {
      std::fill_n(table.begin() + i * rotation.cols, rotation.cols / 2, 1.0f);
    }
    inner().finish_index_queries(heads, keys, n,
                                 {reinterpret_cast<std::byte*>(table.data()), rotation.cols}, iq);
  }
};

class HadamardOfQueriesOnly final : public Spoiled {
 public:
  using Spoiled::Spoiled;
  void compress(const CompressorStep& step, bool, Segments segments, Floats kv,
                Floats score) override {
    inner().compress(step, false, segments, kv, score);
  }
};

}  // namespace

std::vector<Fault> compressed_row_faults() {
  return {
      operation_fault<RowsUnread<4>>("compressed rows of CSA layers not read", "CSA"),
      operation_fault<RowsUnread<128>>("compressed rows of HCA layers not read", "HCA"),
      operation_fault<OtherVisibility<OneBlockLate>>(
          "block not visible to the token that completes it", "visibility"),
      operation_fault<OtherVisibility<WholeChunk>>("rows visible per chunk, not per query", "HCA"),
      operation_fault<RotatedAtLastToken>("compressed rows rotated at the block's last token",
                                          "position of compressed rows"),
      operation_fault<FirstRows>("first rows instead of the best", "indexer"),
      operation_fault<OtherHeadWeights<HeadWeights::kNegated>>("indexer scores negated", "indexer"),
      operation_fault<OtherHeadWeights<HeadWeights::kMagnitudes>>(
          "indexer head weights without sign", "indexer"),
      operation_fault<NoRelu>("indexer without ReLU", "indexer"),
      operation_fault<IndexQueriesUnrotated>("indexer queries not rotated", "indexer RoPE"),
      operation_fault<HadamardOfQueriesOnly>("Hadamard transform of queries only", "indexer"),
  };
}

}  // namespace ds4::faults

// How far back rings reach, against rings simulated slot by slot; and which marks are kept.
#include "engine/cache/history.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace ds4::cache {
namespace {

weights::ModelConfig small_config() {
  weights::ModelConfig c;
  c.num_hidden_layers = 3;
  c.head_dim = 8;
  c.qk_rope_head_dim = 2;
  c.sliding_window = 24;
  c.index_n_heads = 1;
  c.index_head_dim = 8;
  c.index_topk = 4;
  c.compress_ratios = {0, 4, 128};
  return c;
}

/// Rings that remember which position each slot holds, by the definition (model.md 4.1): a query
/// reads a window of raw rows; a block of 4 pools the block before it too, a block of 128 itself.
class SimulatedRings {
 public:
  explicit SimulatedRings(const CachePlan& plan) : plan_(plan) { clear(); }

  void clear() {
    raw_.clear();
    tail_.clear();
    for (const LayerPlan& layer : plan_.layers) {
      raw_.emplace_back(static_cast<size_t>(layer.raw_slots), -1);
      tail_.emplace_back(static_cast<size_t>(layer.tail_slots), -1);
    }
  }
  void write(int64_t position) {
    for (size_t l = 0; l < raw_.size(); ++l) {
      put(raw_[l], position);
      if (!tail_[l].empty()) put(tail_[l], position);
    }
  }
  /// Writes only what going on from `length` needs.
  void write_needed(int64_t length) {
    for (size_t l = 0; l < raw_.size(); ++l) {
      for (int64_t p = first_raw(length); p < length; ++p) put(raw_[l], p);
      for (int64_t p = first_tail(l, length); p < length; ++p) put(tail_[l], p);
    }
  }
  bool holds(int64_t length) const {
    for (size_t l = 0; l < raw_.size(); ++l) {
      for (int64_t p = first_raw(length); p < length; ++p) {
        if (raw_[l][slot(raw_[l], p)] != p) return false;
      }
      for (int64_t p = first_tail(l, length); p < length; ++p) {
        if (tail_[l][slot(tail_[l], p)] != p) return false;
      }
    }
    return true;
  }

 private:
  using Ring = std::vector<int64_t>;
  static size_t slot(const Ring& ring, int64_t p) { return static_cast<size_t>(p) % ring.size(); }
  static void put(Ring& ring, int64_t p) { ring[slot(ring, p)] = p; }
  static int64_t first_raw(int64_t length) { return std::max<int64_t>(0, length - 23); }
  int64_t first_tail(size_t layer, int64_t length) const {
    const int ratio = plan_.layers[layer].ratio;
    if (ratio == 0) return length;
    const int64_t block = length / ratio;
    return ratio == 4 ? std::max<int64_t>(0, block - 1) * 4 : block * ratio;
  }

  const CachePlan& plan_;
  std::vector<Ring> raw_;
  std::vector<Ring> tail_;
};

class Reach : public ::testing::TestWithParam<int> {
 protected:
  Reach() {
    EngineSettings settings;
    settings.context_length = 3000;
    settings.prefill_chunk = GetParam();
    plan_ = plan_cache(small_config(), settings);
  }
  CachePlan plan_;
  std::unique_ptr<ops::Backend> backend_ = ops::make_cpu_backend(1, Precision::kReference);
};

TEST_P(Reach, IsExactlyWhatTheRingsStillHold) {
  const KvCache cache(*backend_, plan_);
  History history(*backend_, cache, 1);
  const ops::Buffer logits = backend_->allocate(4);
  SimulatedRings rings(plan_);
  std::mt19937 rng(static_cast<uint32_t>(GetParam()));
  int64_t length = 0;
  bool whole = true;  // the rings hold everything since position 0
  for (int step = 0; step < 1500; ++step) {
    const int64_t n = 1 + static_cast<int64_t>(rng() % static_cast<uint32_t>(GetParam()));
    if (length + n > 3000 || rng() % 50 == 0) {
      rings.clear();
      length = rng() % 2 ? static_cast<int64_t>(rng() % 900) : 0;
      whole = length == 0;
      rings.write_needed(length);
      history.restart(length);
    } else if (rng() % 3 == 0 && length > 0) {
      // Back to what the simulation says can be reached.
      const auto shared = length - std::min<int64_t>(length, static_cast<int64_t>(rng() % 160));
      int64_t best = shared - 1;
      while (best > 0 && !history.in_reach(best)) --best;
      length = history.go_back(shared, {logits.data.get(), 1}).length;
      ASSERT_EQ(length, std::max<int64_t>(best, 0));
      if (length == 0) {
        rings.clear();
        whole = true;
      }
    } else {
      // Up to kDraftRows rows may be guesses of which only some stay.
      history.writing(length + n);
      for (int64_t i = 0; i < n; ++i) rings.write(length + i);
      length += n <= kDraftRows ? 1 + static_cast<int64_t>(rng() % static_cast<uint32_t>(n)) : n;
    }
    ASSERT_TRUE(history.in_reach(length));
    for (int64_t m = std::max<int64_t>(0, length - 300); m < length; ++m) {
      const bool reach = history.in_reach(m);
      ASSERT_TRUE(!reach || rings.holds(m)) << m << " of " << length;
      ASSERT_TRUE(!whole || reach || !rings.holds(m)) << m << " of " << length;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Chunks, Reach, ::testing::Values(1, 7, 128, 130));

}  // namespace
}  // namespace ds4::cache

// Sizes of cache rows and of a sequence's memory at the real model's shapes (model.md 4.3).
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/cache/kv_cache.h"
#include "engine/cache/marks.h"
#include "engine/ops/forwarding.h"
#include "engine/ops/rows.h"

namespace ds4::cache {
namespace {
using ops::RowFormat;
using ops::RowLayout;

TEST(RowLayout, RealRowsHaveTheDocumentedSizes) {
  EXPECT_EQ((RowLayout{RowFormat::kFp8, 512, 64}).bytes(), 584);
  EXPECT_EQ((RowLayout{RowFormat::kFp4, 128, 64}).bytes(), 68);
  EXPECT_EQ((RowLayout{RowFormat::kBf16, 512, 64}).bytes(), 1024);
  EXPECT_EQ((RowLayout{RowFormat::kBf16, 128, 64}).bytes(), 256);
}

TEST(RowLayout, OddSizesHaveAShorterLastBlock) {
  const RowLayout row{RowFormat::kFp8, 75, 6};
  EXPECT_EQ(row.n_scales(), 2);
  EXPECT_EQ(row.rope_offset(), 70);
  EXPECT_EQ(row.scale_offset(), 82);
  EXPECT_EQ(row.bytes(), 88);
}

weights::ModelConfig flash() {
  weights::ModelConfig c;
  c.num_hidden_layers = 43;
  c.head_dim = 512;
  c.qk_rope_head_dim = 64;
  c.sliding_window = 128;
  c.index_n_heads = 64;
  c.index_head_dim = 128;
  c.index_topk = 512;
  c.compress_ratios = {0, 0};
  for (int l = 2; l < 43; ++l) c.compress_ratios.push_back(l % 2 ? 128 : 4);
  return c;
}

// 3514.25 bytes per token in the exact formats, 6880 without any quantisation.
TEST(CachePlan, RealModelTakesTheDocumentedBytesPerToken) {
  EngineSettings settings;
  settings.context_length = 128 * 8192;
  const auto per_token = [&] {
    const CachePlan plan = plan_cache(flash(), settings);
    return static_cast<double>(plan.compressed_bytes + plan.key_bytes) /
           static_cast<double>(settings.context_length);
  };
  EXPECT_DOUBLE_EQ(per_token(), 3514.25);
  settings.kv_dtype = KvDtype::kBf16;
  settings.index_dtype = IndexDtype::kBf16;
  EXPECT_DOUBLE_EQ(per_token(), 6880);
}

TEST(CachePlan, RingsHoldTheWindowAndAChunk) {
  EngineSettings settings;
  settings.context_length = 100'000;
  settings.prefill_chunk = 512;
  const CachePlan plan = plan_cache(flash(), settings);
  EXPECT_EQ(plan.layers[0].raw_slots, 640);
  EXPECT_EQ(plan.layers[2].tail_slots, 8 + kDraftRows);
  EXPECT_EQ(plan.layers[3].tail_slots, 128 + kDraftRows);
  settings.context_length = 50;
  EXPECT_EQ(plan_cache(flash(), settings).layers[0].raw_slots, 50) << "never more than the context";
}

// Counts what is asked of it.
class CountingBackend final : public ops::ForwardingBackend {
 public:
  CountingBackend() : ForwardingBackend(ops::make_cpu_backend(1, Precision::kReference)) {}
  ops::Buffer allocate(int64_t bytes) override {
    allocated += bytes;
    return ForwardingBackend::allocate(bytes);
  }
  int64_t allocated = 0;
};

TEST(CachePlan, IsWhatASequenceTakes) {
  EngineSettings settings;
  settings.context_length = 5000;
  const CachePlan plan = plan_cache(flash(), settings);
  CountingBackend backend;
  const KvCache cache(backend, plan);
  EXPECT_EQ(backend.allocated,
            plan.raw_bytes + plan.compressed_bytes + plan.key_bytes + plan.tail_bytes);
  backend.allocated = 0;
  const Marks marks(backend, cache, 129280);
  EXPECT_EQ(backend.allocated, marks_bytes(plan, 129280));
}

// A mark of the real model: 127 raw rows everywhere, 7 tail rows in CSA, 127 in HCA layers.
TEST(CachePlan, AMarkHoldsTheRingsOfAnyLength) {
  EngineSettings settings;
  settings.context_length = 100'000;
  const CachePlan plan = plan_cache(flash(), settings);
  EXPECT_EQ(plan.mark_bytes, 43 * 127 * 584 + 21 * 7 * (1024 + 256) * 8 + 20 * 127 * 512 * 8);
  auto backend = ops::make_cpu_backend(1, Precision::kReference);
  const KvCache cache(*backend, plan);
  int64_t most = 0;
  for (int64_t length = 1; length < 1000; ++length) {
    int64_t bytes = 0;
    for (const Piece& piece : cache.ring_pieces(length)) bytes += piece.bytes;
    most = std::max(most, bytes);
    EXPECT_LE(bytes, plan.mark_bytes) << length;
  }
  EXPECT_EQ(most, plan.mark_bytes) << "no more than needed";
}

}  // namespace
}  // namespace ds4::cache

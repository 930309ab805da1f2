// Which bytes of a stretched memory lie where.
#include "engine/breakdown/stretch.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "tests/support/random_data.h"

namespace ds4::breakdown {
namespace {

std::vector<std::byte> bytes_of(const std::vector<cache::Piece>& pieces) {
  std::vector<std::byte> all;
  for (const cache::Piece& piece : pieces) {
    all.insert(all.end(), piece.data, piece.data + piece.bytes);
  }
  return all;
}

TEST(Stretch, RepeatsRowsAndMovesRings) {
  weights::ModelConfig config;
  config.compress_ratios = {0, 4, 128};
  config.head_dim = 128;
  config.qk_rope_head_dim = 64;
  config.index_head_dim = 64;
  config.sliding_window = 128;
  EngineSettings settings;
  settings.context_length = 2000;
  settings.prefill_chunk = 100;
  const auto backend = ops::make_cpu_backend(1, Precision::kReference);
  const cache::KvCache cache(*backend, cache::plan_cache(config, settings));
  test_support::Random random(5);
  constexpr int64_t kComputed = 256;
  for (const auto& pieces : {cache.ring_pieces(kComputed), cache.row_pieces(kComputed)}) {
    for (const cache::Piece& piece : pieces) {
      for (int64_t i = 0; i < piece.bytes; ++i)
        piece.data[i] = static_cast<std::byte>(random.next());
    }
  }
  const std::vector<std::byte> rings = bytes_of(cache.ring_pieces(kComputed));
  // Three times as long, then with a part of the last copy.
  for (const int64_t length : {int64_t{768}, int64_t{1152}, int64_t{1920}}) {
    stretch(*backend, cache, kComputed, length);
    EXPECT_EQ(bytes_of(cache.ring_pieces(length)), rings);
    for (const int l : {1, 2}) {
      const cache::LayerCache& layer = cache.layer(l);
      const int64_t computed = kComputed / cache.plan().layers[static_cast<size_t>(l)].ratio;
      for (const ops::RowStore* rows : {&layer.compressed, &layer.keys}) {
        if (!rows->slots) continue;
        for (int64_t i = 0; i < length * computed / kComputed; ++i) {
          ASSERT_EQ(std::memcmp(rows->row(i), rows->row(i % computed),
                                static_cast<size_t>(rows->layout.bytes())),
                    0)
              << i;
        }
      }
    }
    stretch(*backend, cache, length, kComputed);  // the rings back, rows as they were
  }
}

}  // namespace
}  // namespace ds4::breakdown

// The indexer of the CPU back end (model.md 3.6): tiles of keys, scored for a block of queries at
// once; a running selection per query. Few queries split the keys among the threads instead.
#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/base/check.h"
#include "engine/ops/cpu/backend.h"
#include "engine/ops/cpu/key_scan.h"
#include "engine/ops/cpu/top_rows.h"
#include "engine/weights/codecs/bf16.h"

namespace ds4::ops::cpu {
namespace {

// The scores of a block of queries over a range of keys.
struct Scan {
  int64_t heads, dim, ratio;
  Chunk chunk;
  const float* queries;  // [n, heads * dim]
  const float* weights;  // [n, heads]
  RowStore keys;
  bool strict;

  int64_t visible(int64_t query) const { return (chunk.first + query + 1) / ratio; }

  // tile [dim][kKeyTile] of keys first.., from `rows` as scratch.
  void load_tile(int64_t first, int64_t count, float* rows, float* tile) const {
    for (int64_t j = 0; j < count; ++j) {
      decode_row(keys.layout, keys.row(first + j), rows + j * padded(dim));
    }
    transpose_keys(rows, count, dim, tile);
  }

  static int64_t scratch_floats(int64_t dim) {
    return kKeyTile * (padded(dim) + dim + 1) + static_cast<int64_t>(sizeof(KeyTile) / 4);
  }

  // Offers keys [key_begin, key_end) to the selections of queries [begin, end), each as far as it
  // sees them. Packed keys are scored in integers for every query that is on the same grid; which
  // way a query takes depends on itself alone.
  void run(int64_t begin, int64_t end, int64_t key_begin, int64_t key_end, float* scratch,
           TopRows* best) const {
    auto& integer_tile = *reinterpret_cast<KeyTile*>(scratch);
    float* rows = scratch + sizeof(KeyTile) / 4;
    float* tile = rows + kKeyTile * padded(dim);
    float* score = tile + kKeyTile * dim;
    std::vector<IntegerQuery> integers(static_cast<size_t>(end - begin));
    std::vector<bool> on_grid(integers.size(), false);
    for (size_t i = 0; i < integers.size() && strict && fits_key_scan(keys.layout); ++i) {
      const float* query = queries + (begin + static_cast<int64_t>(i)) * heads * dim;
      on_grid[i] = to_integers(query, heads, integers[i]);
    }
    const bool any_integers = std::find(on_grid.begin(), on_grid.end(), true) != on_grid.end();
    const bool any_floats = std::find(on_grid.begin(), on_grid.end(), false) != on_grid.end();
    for (int64_t key = key_begin; key < key_end; key += kKeyTile) {
      const int64_t count = std::min(kKeyTile, key_end - key);
      if (any_integers) {
        const std::byte* packed[kKeyTile];
        for (int64_t j = 0; j < count; ++j) packed[j] = keys.row(key + j);
        expand_keys(packed, count, integer_tile);
      }
      if (any_floats) load_tile(key, count, rows, tile);
      for (int64_t i = begin; i < end; ++i) {
        const int64_t seen = std::min(count, visible(i) - key);
        if (seen <= 0) continue;
        const auto at = static_cast<size_t>(i - begin);
        const float* weight = weights + i * heads;
        if (on_grid[at]) {
          score_integer_keys(integers[at], weight, heads, integer_tile, score);
        } else {
          score_keys(queries + i * heads * dim, weight, heads, dim, tile, strict, score);
        }
        best[at].offer(score, key, seen);
      }
    }
  }
};

}  // namespace

void CpuBackend::finish_index_queries(int heads, RowFormat keys, int n, Floats rotation,
                                      Values iq) {
  const int64_t dim = iq.cols / heads;
  pool_.run(n, n * iq.cols * 10, [&](int64_t i, int) {
    for (int64_t h = 0; h < heads; ++h) {
      float* head = floats(iq) + i * iq.cols + h * dim;
      rotate(head + dim - rotation.cols, rotation.cols, floats(rotation) + i * rotation.cols, false,
             strict_);
      hadamard(head, dim, strict_);
      if (keys == RowFormat::kFp4) simulate_fp4(head, dim);
    }
  });
}

void CpuBackend::select_rows(int heads, int ratio, Segments segments, Values iq, Values projected,
                             std::span<const RowStore> keys, Ids selected) {
  DS4_CHECK(keys.size() == segments.size());
  for (size_t s = 0; s < segments.size(); ++s) {
    const int row = segments[s].row;
    select_segment(heads, ratio, segments[s].chunk, from_row(iq, row), from_row(projected, row),
                   keys[s], from_row(selected, row));
  }
}

void CpuBackend::select_segment(int heads, int ratio, Chunk chunk, Values iq, Values projected,
                                const RowStore& keys, Ids selected) {
  const int64_t dim = keys.layout.dim;
  const int64_t k = selected.cols;
  DS4_CHECK(iq.cols == heads * dim && projected.cols == heads);
  const auto scale = static_cast<float>(std::pow(static_cast<double>(dim), -0.5) *
                                        std::pow(static_cast<double>(heads), -0.5));
  float* weight = shared_[0].floats(int64_t{chunk.n} * heads);
  for (int64_t i = 0; i < int64_t{chunk.n} * heads; ++i) {
    const float w = floats(projected)[i] * scale;
    weight[i] = strict_ ? weights::bf16_round(w) : w;
  }
  const Scan scan{heads, dim, ratio, chunk, floats(iq), weight, keys, strict_};

  // With at most k visible rows the selection is all of them, whatever their scores.
  int64_t first_scored = 0;
  while (first_scored < chunk.n && scan.visible(first_scored) <= k) {
    int32_t* out = ints(selected) + first_scored * k;
    const int64_t visible = scan.visible(first_scored++);
    for (int64_t j = 0; j < k; ++j) out[j] = j < visible ? static_cast<int32_t>(j) : -1;
  }
  const int64_t n = chunk.n - first_scored;
  if (n == 0) return;

  // Queries of a block share the decoding of each tile; blocks are small enough to feed all
  // threads.
  const int64_t block = std::clamp<int64_t>(n / (4 * pool_.threads()), 8, 128);
  const int64_t blocks = (n + block - 1) / block;
  const int64_t tiles = (scan.visible(chunk.n - 1) + kKeyTile - 1) / kKeyTile;
  const int64_t segments =
      std::clamp<int64_t>(pool_.threads() / blocks, 1, std::max<int64_t>(tiles, 1));
  std::vector<TopRows> best(static_cast<size_t>(n * segments), TopRows(k));
  const int64_t work = n * tiles * kKeyTile * heads * dim;
  pool_.run(blocks * segments, work, [&](int64_t task, int worker) {
    const int64_t segment = task % segments;
    const int64_t begin = first_scored + task / segments * block;
    const int64_t end = std::min<int64_t>(begin + block, chunk.n);
    const int64_t key_begin = segment * tiles / segments * kKeyTile;
    const int64_t key_end =
        std::min((segment + 1) * tiles / segments * kKeyTile, scan.visible(end - 1));
    scan.run(begin, end, key_begin, key_end, worker_scratch(worker, Scan::scratch_floats(dim)),
             best.data() + segment * n + (begin - first_scored));
  });
  pool_.run(n, n * k * 20, [&](int64_t i, int) {
    TopRows& first = best[static_cast<size_t>(i)];
    for (int64_t s = 1; s < segments; ++s) first.merge(best[static_cast<size_t>(s * n + i)]);
    first.finish(ints(selected) + (first_scored + i) * k);
  });
}

}  // namespace ds4::ops::cpu

// Attention and compressor of the CPU back end (model.md 3.3-3.5).
#include <algorithm>
#include <cmath>

#include "engine/base/check.h"
#include "engine/ops/cpu/backend.h"

namespace ds4::ops::cpu {
namespace {

// Attention of fewer queries than threads is cut by heads from here on: so much work takes several
// times what waking a thread does.
constexpr int64_t kWorthCutting = 1 << 20;

// The angle is an f32 product by definition; its cosine needs full range reduction (T17).
void rotation_row(std::span<const float> frequencies, int64_t position, float* row) {
  const size_t pairs = frequencies.size();
  for (size_t i = 0; i < pairs; ++i) {
    const double angle = static_cast<float>(position) * frequencies[i];
    row[i] = static_cast<float>(std::cos(angle));
    row[pairs + i] = static_cast<float>(std::sin(angle));
  }
}

}  // namespace

void CpuBackend::rotation(std::span<const float> frequencies, Segments segments, Floats table) {
  DS4_CHECK(table.cols == static_cast<int64_t>(2 * frequencies.size()));
  for (const Segment& segment : segments) {
    float* angles = floats(from_row(table, segment.row));
    pool_.run(segment.chunk.n, segment.chunk.n * table.cols * 30, [&](int64_t i, int) {
      rotation_row(frequencies, segment.chunk.first + i, angles + i * table.cols);
    });
  }
}

void CpuBackend::finish_queries(int heads, float eps, int n, Floats rotation, Values q) {
  const int64_t dim = q.cols / heads;
  pool_.run(n, n * q.cols * 3, [&](int64_t i, int) {
    for (int64_t h = 0; h < heads; ++h) {
      float* head = floats(q) + i * q.cols + h * dim;
      normalise_head(head, dim, eps, strict_);
      rotate(head + dim - rotation.cols, rotation.cols, floats(rotation) + i * rotation.cols, false,
             strict_);
    }
  });
}

void CpuBackend::store_raw_rows(std::span<const float> gain, float eps, Segments segments,
                                Floats rotation, Values kv, std::span<const RowStore> rows) {
  const int64_t dim = kv.cols;
  DS4_CHECK(rows.size() == segments.size());
  for (size_t s = 0; s < segments.size(); ++s) {
    const auto& [first_row, chunk] = segments[s];
    const RowStore& store = rows[s];
    const float* x = floats(from_row(kv, first_row));
    const float* angles = floats(from_row(rotation, first_row));
    DS4_CHECK(store.layout.dim == dim && chunk.n <= store.slots);
    pool_.run(chunk.n, chunk.n * dim * 10, [&, first = chunk.first](int64_t i, int worker) {
      float* row = worker_scratch(worker, padded(dim));
      cpu::rms_norm(x + i * dim, gain.data(), eps, dim, strict_, row);
      rotate(row + dim - rotation.cols, rotation.cols, angles + i * rotation.cols, false, strict_);
      encode_row(store.layout, row, store.row(first + i));
    });
  }
}

void CpuBackend::compress(const CompressorStep& step, bool index, Segments segments, Floats kv,
                          Floats score) {
  DS4_CHECK(step.rows.size() == segments.size() && step.tails.size() == segments.size());
  for (size_t s = 0; s < segments.size(); ++s) {
    compress_segment(step, index, segments[s].chunk, from_row(kv, segments[s].row),
                     from_row(score, segments[s].row), step.rows[s], step.tails[s]);
  }
}

void CpuBackend::compress_segment(const CompressorStep& step, bool index, Chunk chunk, Floats kv,
                                  Floats score, const RowStore& rows, const TailRing& tail) {
  const weights::Compressor& c = *step.parameters;
  const int64_t width = c.width;
  const int64_t dim = c.row_dim;
  const int64_t ratio = c.ratio;
  const bool overlap = weights::ModelConfig::is_csa(c.ratio);
  DS4_CHECK(kv.cols == width && score.cols == width);
  DS4_CHECK(tail.slots >= (overlap ? 2 : 1) * ratio);

  for (int64_t i = 0; i < chunk.n; ++i) {
    add_to(c.ape.data() + (chunk.first + i) % ratio * width, width, floats(score) + i * width);
  }
  // Rows of tokens before the chunk come from the tail.
  const auto row_of = [&](Floats recent, Floats before, int64_t token) -> const float* {
    if (token >= chunk.first) return floats(recent) + (token - chunk.first) * width;
    return floats(before) + token % tail.slots * width;
  };
  const int64_t first_block = chunk.first / ratio;
  const int64_t blocks = chunk.end() / ratio - first_block;
  const int64_t candidates = overlap ? 2 * ratio : ratio;
  pool_.run(blocks, blocks * candidates * dim * 20, [&](int64_t b, int worker) {
    const int64_t block = first_block + b;
    std::vector<const float*> keys;
    std::vector<const float*> scores;
    // Of the previous block the first half of the columns counts, of the current one the second
    // (T7); block 0 has no previous one.
    if (overlap && block > 0) {
      for (int64_t t = (block - 1) * ratio; t < block * ratio; ++t) {
        keys.push_back(row_of(kv, tail.kv, t));
        scores.push_back(row_of(score, tail.score, t));
      }
    }
    const int64_t half = overlap ? dim : 0;
    for (int64_t t = block * ratio; t < (block + 1) * ratio; ++t) {
      keys.push_back(row_of(kv, tail.kv, t) + half);
      scores.push_back(row_of(score, tail.score, t) + half);
    }
    const auto rope_dim = static_cast<int64_t>(2 * step.frequencies.size());
    float* row = worker_scratch(worker, padded(dim) + rope_dim);
    float* table = row + padded(dim);
    pool_rows(keys.data(), scores.data(), static_cast<int64_t>(keys.size()), dim, strict_, row);
    cpu::rms_norm(row, c.norm.data(), step.norm_eps, dim, strict_, row);
    rotation_row(step.frequencies, block * ratio, table);
    rotate(row + dim - rope_dim, rope_dim, table, false, strict_);
    if (index) hadamard(row, dim, strict_);
    encode_row(rows.layout, row, rows.row(block));
  });
  const int64_t keep = std::min<int64_t>(chunk.n, tail.slots);
  for (int64_t i = chunk.n - keep; i < chunk.n; ++i) {
    const int64_t slot = (chunk.first + i) % tail.slots;
    std::copy_n(floats(kv) + i * width, width, floats(tail.kv) + slot * width);
    std::copy_n(floats(score) + i * width, width, floats(tail.score) + slot * width);
  }
}

void CpuBackend::attend(const KeySet& keys, std::span<const float> sinks, Segments segments,
                        Floats rotation, Values q, Values o) {
  DS4_CHECK(keys.raw.size() == segments.size());
  DS4_CHECK(keys.compressed.empty() || keys.compressed.size() == segments.size());
  for (size_t s = 0; s < segments.size(); ++s) {
    const int row = segments[s].row;
    const SegmentKeys own{keys.raw[s],
                          keys.window,
                          keys.compressed.empty() ? RowStore{} : keys.compressed[s],
                          keys.ratio,
                          from_row(keys.selected, row),
                          keys.whole_segment};
    attend_segment(own, sinks, segments[s].chunk, from_row(rotation, row), from_row(q, row),
                   from_row(o, row));
  }
}

void CpuBackend::attend_segment(const SegmentKeys& keys, std::span<const float> sinks, Chunk chunk,
                                Floats rotation, Values q, Values o) {
  const auto heads = static_cast<int64_t>(sinks.size());
  const int64_t dim = keys.raw.layout.dim;
  const int64_t stride = padded(dim);
  DS4_CHECK(q.cols == heads * dim && o.cols == q.cols);
  // First and last raw row that the query at `position` reads.
  const auto oldest = [&](int64_t position) {
    const int64_t first = keys.whole_segment ? chunk.first : position + 1;
    return std::max<int64_t>(0, first - keys.window);
  };
  const auto newest = [&](int64_t position) {
    return keys.whole_segment ? chunk.end() - 1 : position;
  };
  const int64_t first_raw = oldest(chunk.first);
  const int64_t n_raw = chunk.end() - first_raw;
  DS4_CHECK(n_raw <= keys.raw.slots);
  const bool compressed = keys.compressed.slots > 0;
  const bool all_compressed = compressed && !keys.selected.data;
  const int64_t n_shared = all_compressed ? chunk.end() / keys.ratio : 0;

  // Rows that many queries share are decoded once per chunk; selected rows per query.
  float* shared = shared_[0].floats((n_raw + n_shared) * stride);
  pool_.run(n_raw + n_shared, (n_raw + n_shared) * dim * 2, [&](int64_t i, int) {
    const RowStore& store = i < n_raw ? keys.raw : keys.compressed;
    const int64_t row = i < n_raw ? first_raw + i : i - n_raw;
    decode_row(store.layout, store.row(row), shared + i * stride);
  });
  const int64_t most = std::min<int64_t>(keys.window + (keys.whole_segment ? chunk.n : 0), n_raw) +
                       (all_compressed ? n_shared
                        : compressed   ? keys.selected.cols
                                       : 0);
  const float* const* queries = prepare(prepared_, floats(q), chunk.n * heads, dim, dim, false);
  const float scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(dim)));

  // A query is one task; fewer queries than threads are cut by heads where that pays for the
  // wake-up.
  const int64_t work = chunk.n * most * heads * dim * 2;
  const int64_t parts =
      work < kWorthCutting ? 1 : std::clamp<int64_t>(pool_.threads() / chunk.n, 1, heads);
  const int64_t part_heads = (heads + parts - 1) / parts;
  pool_.run(chunk.n * parts, work, [&](int64_t task, int worker) {
    const int64_t i = task / parts;
    const int64_t first_head = task % parts * part_heads;
    const int64_t own = std::min(part_heads, heads - first_head);
    if (own <= 0) return;
    const int64_t p = chunk.first + i;
    float* memory = worker_scratch(
        worker, own * (padded(most) + 1) + (compressed ? keys.selected.cols : 0) * stride);
    float* weight = memory;
    float* z = weight + own * padded(most);
    float* gathered = z + own;
    std::vector<const float*> rows;
    rows.reserve(static_cast<size_t>(most));
    for (int64_t t = oldest(p); t <= newest(p); ++t) {
      rows.push_back(shared + (t - first_raw) * stride);
    }
    if (all_compressed) {
      for (int64_t t = 0; t < (p + 1) / keys.ratio; ++t) {
        rows.push_back(shared + (n_raw + t) * stride);
      }
    } else if (compressed) {
      const int32_t* chosen = ints(keys.selected) + i * keys.selected.cols;
      for (int64_t j = 0; j < keys.selected.cols && chosen[j] >= 0; ++j) {
        float* row = gathered + j * stride;
        decode_row(keys.compressed.layout, keys.compressed.row(chosen[j]), row);
        rows.push_back(row);
      }
    }
    const auto n = static_cast<int64_t>(rows.size());
    const int64_t ld = padded(most);
    dot_rows(queries + i * heads + first_head, own, rows.data(), n, stride, scale, weight, ld);
    for (int64_t h = 0; h < own; ++h) {
      z[h] = sink_softmax(weight + h * ld, n, sinks[static_cast<size_t>(first_head + h)], strict_);
    }
    float* out = floats(o) + i * o.cols + first_head * dim;
    weighted_rows(weight, ld, own, rows.data(), n, z, dim, strict_, out, dim);
    for (int64_t h = 0; h < own; ++h) {
      rotate(out + h * dim + dim - rotation.cols, rotation.cols,
             floats(rotation) + i * rotation.cols, true, strict_);
    }
  });
}

}  // namespace ds4::ops::cpu

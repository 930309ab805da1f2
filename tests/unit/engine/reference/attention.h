// Everything between the projections and the output of attention, in float64 (model.md 3.3-3.6):
// rotation, queries, cache rows, compressors, the indexer and attention with sinks. One query or
// row at a time, nothing shared with the engine.
#pragma once

#include <span>
#include <vector>

#include "engine/ops/ops.h"
#include "tests/unit/engine/reference/layers.h"

namespace ds4::reference {

/// f_i of a layer; `yarn` null for plain theta.
std::vector<float> frequencies(int rope_dim, double theta, const weights::Yarn* yarn);
/// Cosines, then sines of one position.
Row angles(const Arithmetic& a, std::span<const float> frequencies, int64_t position);
/// The last dims of x turned by `table` (cosines, then sines), back by `inverse`.
Row rotate(const Arithmetic& a, Row x, std::span<const double> table, bool inverse = false);
Row hadamard(const Arithmetic& a, const Row& x);

/// One head.
Row finish_query(const Arithmetic& a, double eps, std::span<const double> table, const Row& q);
Row finish_index_query(const Arithmetic& a, ops::RowFormat keys, std::span<const double> table,
                       const Row& iq);

/// The values of a raw row in its store's format.
Row raw_row(const Arithmetic& a, ops::RowFormat format, std::span<const float> gain, double eps,
            std::span<const double> table, const Row& kv);
/// Rows of the complete blocks of a prompt; kv and score of all its tokens from position 0.
Rows compressed_rows(const Arithmetic& a, const weights::Compressor& c, ops::RowFormat format,
                     bool index, double eps, std::span<const float> frequencies, const Rows& kv,
                     const Rows& score);

/// Scores of keys for one query; iq [heads * dim], projected [heads].
Row index_scores(const Arithmetic& a, int heads, const Row& iq, const Row& projected,
                 const Rows& keys);

/// One head over the rows it reads, not yet rotated back.
Row attend(const Arithmetic& a, const Row& q, const std::vector<const Row*>& rows, double sink);

}  // namespace ds4::reference

// The vector kernels of the CPU back end: plain functions on f32 rows, each choosing the best
// instruction set at run time. They work on one task's share and know nothing of threads.
// "strict" means the reference precision: rounding points and simulated formats are on.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/ops/rows.h"
#include "engine/weights/matrix.h"

namespace ds4::ops::cpu {

/// Rows handed to dot products are padded with zeros to a multiple of this.
inline constexpr int64_t kPad = 16;
inline constexpr int64_t padded(int64_t cols) {
  return (cols + kPad - 1) / kPad * kPad;
}

// --- element formats (quantise.cpp) -----------------------------------------------------------

/// out [padded(cols)] = Q8(x; block) times its scales when `quantise`, else x; zeros behind.
void prepare_row(const float* x, int64_t cols, int64_t block, bool quantise, float* out);
/// x := bf(Q4 times scales), in place.
void simulate_fp4(float* x, int64_t cols);
/// x := bf(H x / sqrt(n)) in place; n a power of two.
void hadamard(float* x, int64_t n, bool strict);

/// Writes values (already on the grid of what precedes the row format) as one cache row.
void encode_row(const RowLayout& layout, const float* x, std::byte* row);
/// The row as floats, out [padded(dim)], zeros behind.
void decode_row(const RowLayout& layout, const std::byte* row, float* out);
/// W[row, begin..end) as floats with scales folded in, out [padded(end - begin)], zeros behind.
/// `begin` must not lie inside a block of scales.
void decode_weights(const weights::Matrix& w, int64_t row, int64_t begin, int64_t end, float* out);
inline void decode_weights(const weights::Matrix& w, int64_t row, float* out) {
  decode_weights(w, row, 0, w.cols, out);
}

// --- dot products (matmul.cpp) ----------------------------------------------------------------

/// y[i * ldy + o - begin] = dot(x[i], W[o]) for o in [begin, end) and i in [0, m); bf() if `round`.
/// x[i] have padded(w.cols) floats. Each dot has one fixed order of summation, whatever m is.
/// Works on panels of kPanelRows weight rows x kPanelDepth columns, decoded once for kRowBlock rows
/// of x, of which kCachedRows at a time stay in the first-level cache. scratch: kMatmulScratch
/// floats.
inline constexpr int64_t kPanelRows = 32;
inline constexpr int64_t kPanelDepth = 256;
inline constexpr int64_t kRowBlock = 128;
inline constexpr int64_t kCachedRows = 32;
inline constexpr int64_t kMatmulScratch =
    (kPanelRows + kCachedRows) * kPanelDepth + kRowBlock * kPanelRows * kPad;
void matmul(const weights::Matrix& w, int64_t begin, int64_t end, const float* const* x, int64_t m,
            bool round, float* y, int64_t ldy, float* scratch);

/// y[i * ldy + o] = dot(x[i], rows[o]) * scale for m x n rows of k floats, k a multiple of kPad.
void dot_rows(const float* const* x, int64_t m, const float* const* rows, int64_t n, int64_t k,
              float scale, float* y, int64_t ldy);

// --- norms, streams, rotation (vectors.cpp) ---------------------------------------------------

/// y = bf(gain * x * rsqrt(mean(x^2) + eps)); gain null: without. y may be x.
void rms_norm(const float* x, const float* gain, float eps, int64_t cols, bool strict, float* y);
/// rsqrt(mean(x^2) + eps) in f32.
float inverse_rms(const float* x, int64_t cols, float eps);
/// One query head in place: the gainless norm in BF16 arithmetic (model.md 3.4 step 2).
void normalise_head(float* q, int64_t dim, float eps, bool strict);
/// Rotates pairs of x [rope_dim] in place; table: cosines, then sines, [rope_dim / 2] each.
void rotate(float* x, int64_t rope_dim, const float* table, bool inverse, bool strict);
/// out = bf(sum_j weight[j] * h[j * cols + .]).
void mix_streams(const float* h, const float* weight, int streams, int64_t cols, bool strict,
                 float* out);
/// h[k] = bf(post[k] * y + sum_j comb[j * streams + k] * h[j]) in place; streams <= kMaxStreams.
inline constexpr int kMaxStreams = 64;
void update_streams(const float* y, const float* post, const float* comb, int streams, int64_t cols,
                    bool strict, float* h);
/// a = bf(weight * silu(min(gate, limit)) * clamp(up, -limit, limit)).
void swiglu(const float* gate, const float* up, float weight, float limit, int64_t cols,
            bool strict, float* a);
/// sum += x.
void add_to(const float* x, int64_t cols, float* sum);
/// x := bf(x).
void round_bf16(float* x, int64_t cols);

// --- attention (attention.cpp) ----------------------------------------------------------------

/// Softmax numerators with a sink in the denominator only: s [n] := bf(exp(s - max s)); returns the
/// denominator sum exp(s - max) + exp(sink - max) of unrounded values.
float sink_softmax(float* s, int64_t n, float sink, bool strict);
/// out[i][d] = bf(sum_t p[i * ldp + t] * rows[t][d] / z[i]) for m heads; rows have padded(dim).
void weighted_rows(const float* p, int64_t ldp, int64_t m, const float* const* rows, int64_t n,
                   const float* z, int64_t dim, bool strict, float* out, int64_t ldo);

// --- compressor (attention.cpp) ---------------------------------------------------------------

/// out[d] = sum_t softmax_t(score[t][d]) * kv[t][d] over n candidate rows; bf() if strict.
void pool_rows(const float* const* kv, const float* const* score, int64_t n, int64_t dim,
               bool strict, float* out);

// --- indexer (indexer.cpp) --------------------------------------------------------------------

inline constexpr int64_t kKeyTile = 64;
/// Keys as columns: out [dim, kKeyTile] from `count` <= kKeyTile decoded rows [count][padded(dim)].
void transpose_keys(const float* rows, int64_t count, int64_t dim, float* out);
/// score[n] = bf(sum_h bf(relu(bf(q_h . key_n)) * weight_h)) for the kKeyTile keys of a tile.
/// q [heads, dim]; score [kKeyTile].
void score_keys(const float* q, const float* weight, int64_t heads, int64_t dim, const float* tile,
                bool strict, float* score);
/// Appends to `found` the indices i < n with score[i] > bound, in order; returns how many.
int64_t above(const float* score, int64_t n, float bound, int32_t* found);

}  // namespace ds4::ops::cpu

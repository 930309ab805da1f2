// The operations the forward pass is written in, one per paragraph of the model's definition
// (model.md 3). A back end implements this interface and may fuse whatever lies behind one of them.
//
// Common rules. Rows are tokens; n is their number over all sequences of a batch. bf() marks a
// rounding to BF16 and Q8/sim8/sim4 a simulated format; Precision::kF32 turns all of them off.
// Every result row depends on its own inputs only and is computed in the same order whatever n is,
// so neither chunk sizes nor neighbours in the batch change a single bit. Operations run in call
// order; a back end with a stream of its own need not have finished when a call returns, except for
// read_floats() and sample().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <variant>
#include <vector>

#include "engine/api/session.h"
#include "engine/ops/rows.h"
#include "engine/ops/views.h"
#include "engine/weights/weights.h"

namespace ds4::ops {

/// Constants of hyper-connections (model.md 3.2).
struct MixSettings {
  int streams = 0;
  int sinkhorn_iterations = 0;
  float mix_eps = 0;   // hc_eps
  float norm_eps = 0;  // rms_norm_eps
};

/// A compressor at work: parameters and, per segment, destination rows and the tokens it still
/// remembers.
struct CompressorStep {
  const weights::Compressor* parameters = nullptr;
  std::span<const float> frequencies;  // [rope_dim/2]
  float norm_eps = 0;
  std::span<const RowStore> rows;
  std::span<const TailRing> tails;  // slots >= ratio, twice that where blocks overlap
};

/// Which rows the queries of a batch read (model.md 3.4 step 5); stores per segment.
struct KeySet {
  std::span<const RowStore> raw;  // slots >= window - 1 + the segment's rows
  int window = 0;
  std::span<const RowStore> compressed;  // empty: the layer has none
  int ratio = 0;
  Ids selected;  // [n, top_k] ascending, rest -1; data null: every visible compressed row
  /// A draft block (5.4): every query reads the `window` raw rows before its segment and all rows
  /// of the segment, later ones too. Without compressed rows.
  bool whole_segment = false;
};

struct RouteSettings {
  int per_token = 0;
  bool normalise = true;
  float factor = 1;
};

/// What rms_norm() would do first.
struct RmsNorm {
  std::span<const float> gain;
  float eps = 0;
};

/// One token to be drawn.
struct Draw {
  Floats logits;         // [1, vocab]
  int64_t position = 0;  // where it will stand
  const SamplingSettings* settings = nullptr;
  TokenHistory history;  // the tokens in front of it
};

class Backend {
 public:
  virtual ~Backend() = default;

  // --- the model ------------------------------------------------------------------------------

  /// Brings the parameters of a checkpoint to where the operations read them; what comes back names
  /// them in every call and must stay where it is while the back end is used. Whether matrices may
  /// be read through it depends on the back end: the GPU has the only copy. `drafts`: also the MTP
  /// blocks. Parameters that come from elsewhere are taken from host memory at their first use.
  /// Throws Error(kCheckpoint), Error(kIo), Error(kMachine).
  virtual weights::ModelWeights load(weights::OpenedModel opened, bool drafts,
                                     const LoadProgress& progress) = 0;

  // --- memory ---------------------------------------------------------------------------------

  /// Takes all memory that allocate() will hand out and that the operations need besides
  /// (cuda/estimate.h), once: wanting more is a bug from then on. Without this call memory is taken
  /// as it is needed. A back end whose memory is the process's own has nothing to reserve.
  virtual void reserve(int64_t /*pieces*/, int64_t /*scratch*/) {}

  /// Bytes one element of Values takes.
  virtual int value_bytes() const = 0;
  /// Zeroed memory. Throws Error(kMachine) naming the size when there is not enough.
  virtual Buffer allocate(int64_t bytes) = 0;
  virtual void write_ids(std::span<const int32_t> from, Ids to) = 0;
  /// Waits for all operations, then gives the first `count` floats; valid until the next operation.
  virtual std::span<const float> read_floats(Floats from, int64_t count) = 0;
  /// Copies inside the back end's memory, in call order with the operations; no two ranges overlap.
  virtual void copy(std::span<const Copy> copies) = 0;
  /// Bytes of the back end's memory to the caller's and back; waits for all operations.
  virtual void read(const std::byte* from, std::span<std::byte> to) = 0;
  virtual void write(std::span<const std::byte> from, std::byte* to) = 0;

  // --- time -----------------------------------------------------------------------------------

  /// Puts a time stamp between the operations called so far and those to come.
  virtual void mark() = 0;
  /// Waits for all operations; seconds of each stamp since the first, then forgets them.
  virtual std::vector<double> take_marks() = 0;

  // --- steps ----------------------------------------------------------------------------------

  /// Runs `operations`, calls of this back end that all get `segments`. With an equal key they must
  /// be the same calls: all that may differ are the contents of memory and the first positions of
  /// the segments. So a back end may keep a record of them and replay that instead.
  virtual void run_step(std::span<const int64_t> /*key*/, Segments /*segments*/,
                        const std::function<void()>& operations) {
    operations();
  }

  // --- residual stream (3.1, 3.2) -------------------------------------------------------------

  /// h[i][s] = table[token_i] for every stream s. tokens [n], h [n, streams * d].
  virtual void embed(const weights::Matrix& table, int n, Ids tokens, Values h) = 0;
  /// Steps 1-5 and the norm behind them: mix [n, streams * (streams + 2)] = (pre, post, C) in f32,
  /// x = rms(bf(sum_j pre_j h_j); gain) [n, d].
  virtual void mix_in(const weights::HyperConnection& hc, const MixSettings& settings,
                      std::span<const float> gain, int n, Values h, Floats mix, Values x) = 0;
  /// Step 6, in place: h[k] = bf(post_k y + sum_j C[j][k] h[j]). y [n, d].
  virtual void mix_out(int streams, int n, Values y, Floats mix, Values h) = 0;

  // --- projections and norms (3.0) ------------------------------------------------------------

  /// y = L8, L4 or LB of x by the stored format of w: bf(W Q8(x)) for FP8 and FP4, else bf(W x).
  /// x [n, w.cols], y [n, w.rows].
  virtual void project(const weights::Matrix& w, int n, Values x, Values y) = 0;
  /// LF: y = W x in f32, no rounding on either side.
  virtual void project_wide(const weights::Matrix& w, int n, Values x, Floats y) = 0;
  /// Several products of one x, or of its norm, which may then replace x. A back end may make them
  /// side by side; each has the bits that it has alone.
  virtual void project_each(std::span<const Projection> products, int n, Values x,
                            const RmsNorm* norm) {
    if (norm) rms_norm(norm->gain, norm->eps, n, x, x);
    for (const Projection& product : products) {
      if (const auto* y = std::get_if<Values>(&product.y)) {
        project(*product.w, n, x, *y);
      } else {
        project_wide(*product.w, n, x, std::get<Floats>(product.y));
      }
    }
  }
  /// y = bf(gain * x * rsqrt(mean(x^2) + eps)); y may be x.
  virtual void rms_norm(std::span<const float> gain, float eps, int n, Values x, Values y) = 0;

  // --- attention (3.3, 3.4) -------------------------------------------------------------------

  /// cos and sin of f32(position * frequency) with full range reduction: table [n, rope_dim], all
  /// cosines of a row before its sines.
  virtual void rotation(std::span<const float> frequencies, Segments segments, Floats table) = 0;
  /// Steps 2-3 in place on q [n, heads * dim]: norm without gain in BF16 arithmetic, then RoPE.
  virtual void finish_queries(int heads, float eps, int n, Floats rotation, Values q) = 0;
  /// Step 4 on kv = L8(x; wkv) [n, dim]: norm, RoPE, then the rows of each segment's positions in
  /// its store's format (kFp8 includes sim8).
  virtual void store_raw_rows(std::span<const float> gain, float eps, Segments segments,
                              Floats rotation, Values kv, std::span<const RowStore> rows) = 0;
  /// 3.5 on kv = LF(x; wkv) and score = LF(x; wgate) [n, width]: writes every compressed row whose
  /// last token lies in a segment (pool, norm, RoPE at the block's first position, then the row
  /// format: kFp8 = main rows, kFp4 = Hadamard and sim4 of indexer keys), and keeps the tails.
  /// `index` tells the Hadamard transform of indexer keys. Overwrites score.
  virtual void compress(const CompressorStep& step, bool index, Segments segments, Floats kv,
                        Floats score) = 0;
  /// 3.6 step 1 in place on iq [n, heads * dim]: RoPE, bf(H q), sim4 when keys are kFp4.
  virtual void finish_index_queries(int heads, RowFormat keys, int n, Floats rotation,
                                    Values iq) = 0;
  /// 3.6 steps 2-4. projected = LB(x; weights_proj) [n, heads], iq [n, heads * dim]; selected
  /// [n, top_k] gets the best min(top_k, visible) rows of each query in ascending order, then -1.
  /// Equal scores: lowest row first.
  virtual void select_rows(int heads, int ratio, Segments segments, Values iq, Values projected,
                           std::span<const RowStore> keys, Ids selected) = 0;
  /// Steps 5-7: attention of q [n, heads * dim] over the key set with sinks [heads], then the
  /// inverse rotation. o [n, heads * dim]; may be q.
  virtual void attend(const KeySet& keys, std::span<const float> sinks, Segments segments,
                      Floats rotation, Values q, Values o) = 0;
  /// Step 8, first half: u_g = bf(w[rows of group g] o_g) without activation quantisation whatever
  /// the format of w. o [n, groups * w.cols], u [n, w.rows].
  virtual void project_groups(const weights::Matrix& w, int groups, int n, Values o, Values u) = 0;

  // --- mixture of experts (3.7) ---------------------------------------------------------------

  /// Steps 1-3 on logits = LF(x; gate) [n, experts]: ids and weights [n, per_token], by tid2eid of
  /// the tokens in hash layers, else the best biased scores (ties: lowest id).
  virtual void route(const weights::Moe& moe, const RouteSettings& settings, int n, Ids tokens,
                     Floats logits, Ids ids, Floats route_weights) = 0;
  /// Steps 4-6: y = bf(sum over experts in ascending id + shared expert) [n, d].
  virtual void experts(const weights::Moe& moe, float swiglu_limit, int per_token, int n, Values x,
                       Ids ids, Floats route_weights, Values y) = 0;
  /// norms[i][j] = L2 norm of the output of expert ids[i][j] on x_i with route weight 1 (step 4,
  /// before any weighting). Not part of the forward pass: pruning observes with it. norms [n,
  /// per_token].
  virtual void expert_norms(const weights::Moe& moe, float swiglu_limit, int per_token, int n,
                            Values x, Ids ids, Floats norms) = 0;

  // --- head (3.8) -----------------------------------------------------------------------------

  /// Step 1 and the norm of step 2: x = rms(bf(sum_j pre_j h_j); gain) [n, d].
  virtual void mix_head(const weights::HeadMix& hc, const MixSettings& settings,
                        std::span<const float> gain, int n, Values h, Values x) = 0;

  // --- drafting (5) ---------------------------------------------------------------------------

  /// 5.1, in place: h_s = bf(L8(rms(e; enorm); e_proj) + L8(rms(h_s; hnorm); h_proj)) for every
  /// stream s. e [n, d]: embeddings, overwritten; h [n, streams * d].
  virtual void mtp_input(const weights::ClassicMtp& mtp, float eps, int n, Values e, Values h) = 0;
  /// mean[i][column + c] = bf(mean over the streams of h[i]), c < d. h [n, streams * d].
  virtual void mean_streams(int streams, int n, Values h, int64_t column, Values mean) = 0;
  /// logits[row] += W2 W1[previous] in f32. w1, w2 [vocab, rank]; logits [., vocab].
  virtual void add_markov_bias(const weights::Matrix& w1, const weights::Matrix& w2,
                               TokenId previous, int64_t row, Floats logits) = 0;

  // --- choosing -------------------------------------------------------------------------------

  /// draw_token of sampling.h for every draw; waits for the results. tokens [draws]: kNoToken where
  /// no logit is above -inf. Throws like check_sampling.
  virtual void sample(std::span<const Draw> draws, std::span<TokenId> tokens) = 0;
};

/// The CUDA back end (cuda/) on the first GPU. It keeps copies of the parameters it is given, so
/// these must not move or change while it lives. Throws Error(kMachine) when this build or this
/// machine has none.
std::unique_ptr<Backend> make_cuda_backend(Precision precision,
                                           Residency residency = Residency::kDevice);

/// The CPU back end (cpu/): `threads` 0 = all this process may use.
std::unique_ptr<Backend> make_cpu_backend(int threads, Precision precision);

/// What the CPU back end tells about itself before it exists: Backend::value_bytes(), and the
/// scratch memory its operations grow to with chunks of `rows` tokens.
inline constexpr int kCpuValueBytes = 4;
int64_t cpu_scratch_bytes(const weights::ModelConfig& config, int rows, int64_t context_length,
                          int threads);

}  // namespace ds4::ops

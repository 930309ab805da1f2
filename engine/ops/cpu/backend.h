// The CPU back end: values are f32 held on the BF16 grid, work is split over a small thread pool,
// arithmetic sits in kernels.h. Weights are read where they are mapped.
#pragma once

#include <cstdlib>
#include <memory>
#include <vector>

#include "engine/ops/cpu/kernels.h"
#include "engine/ops/cpu/thread_pool.h"
#include "engine/ops/ops.h"

namespace ds4::ops::cpu {

/// Growing aligned memory that keeps nothing between uses. The slack lets vector loads run over.
class Scratch {
 public:
  float* floats(int64_t count);

 private:
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  std::unique_ptr<float, Free> data_;
  int64_t capacity_ = 0;
};

/// One product of m prepared rows with rows [begin, end) of w.
struct MatmulJob {
  const weights::Matrix* w = nullptr;
  int64_t begin = 0;
  int64_t end = 0;
  const float* const* x = nullptr;  // [m], each padded(w->cols) floats
  int64_t m = 0;
  bool round = false;
  float* y = nullptr;  // output of row 0, column `begin`
  int64_t ldy = 0;
};

class CpuBackend final : public Backend {
 public:
  CpuBackend(int threads, Precision precision);

  int value_bytes() const override { return kCpuValueBytes; }
  weights::ModelWeights load(weights::OpenedModel opened, bool drafts,
                             const LoadProgress& progress) override;
  Buffer allocate(int64_t bytes) override;
  void write_ids(std::span<const int32_t> from, Ids to) override;
  std::span<const float> read_floats(Floats from, int64_t count) override;
  void copy(std::span<const Copy> copies) override;
  void read(const std::byte* from, std::span<std::byte> to) override;
  void write(std::span<const std::byte> from, std::byte* to) override;
  void mark() override;
  std::vector<double> take_marks() override;

  void embed(const weights::Matrix& table, int n, Ids tokens, Values h) override;
  void mix_in(const weights::HyperConnection& hc, const MixSettings& settings,
              std::span<const float> gain, int n, Values h, Floats mix, Values x) override;
  void mix_out(int streams, int n, Values y, Floats mix, Values h) override;
  void project(const weights::Matrix& w, int n, Values x, Values y) override;
  void project_wide(const weights::Matrix& w, int n, Values x, Floats y) override;
  void rms_norm(std::span<const float> gain, float eps, int n, Values x, Values y) override;

  void rotation(std::span<const float> frequencies, Segments segments, Floats table) override;
  void finish_queries(int heads, float eps, int n, Floats rotation, Values q) override;
  void store_raw_rows(std::span<const float> gain, float eps, Segments segments, Floats rotation,
                      Values kv, std::span<const RowStore> rows) override;
  void compress(const CompressorStep& step, bool index, Segments segments, Floats kv,
                Floats score) override;
  void finish_index_queries(int heads, RowFormat keys, int n, Floats rotation, Values iq) override;
  void select_rows(int heads, int ratio, Segments segments, Values iq, Values projected,
                   std::span<const RowStore> keys, Ids selected) override;
  void attend(const KeySet& keys, std::span<const float> sinks, Segments segments, Floats rotation,
              Values q, Values o) override;
  void project_groups(const weights::Matrix& w, int groups, int n, Values o, Values u) override;

  void route(const weights::Moe& moe, const RouteSettings& settings, int n, Ids tokens,
             Floats logits, Ids ids, Floats route_weights) override;
  void experts(const weights::Moe& moe, float swiglu_limit, int per_token, int n, Values x, Ids ids,
               Floats route_weights, Values y) override;
  void expert_norms(const weights::Moe& moe, float swiglu_limit, int per_token, int n, Values x,
                    Ids ids, Floats norms) override;

  void mix_head(const weights::HeadMix& hc, const MixSettings& settings,
                std::span<const float> gain, int n, Values h, Values x) override;
  void mtp_input(const weights::ClassicMtp& mtp, float eps, int n, Values e, Values h) override;
  void mean_streams(int streams, int n, Values h, int64_t column, Values mean) override;
  void add_markov_bias(const weights::Matrix& w1, const weights::Matrix& w2, TokenId previous,
                       int64_t row, Floats logits) override;
  void sample(std::span<const Draw> draws, std::span<TokenId> tokens) override;

 private:
  // One sequence's share of an operation: views begin at the segment's first row.
  void compress_segment(const CompressorStep& step, bool index, Chunk chunk, Floats kv,
                        Floats score, const RowStore& rows, const TailRing& tail);
  void select_segment(int heads, int ratio, Chunk chunk, Values iq, Values projected,
                      const RowStore& keys, Ids selected);
  struct SegmentKeys {
    RowStore raw;
    int window;
    RowStore compressed;  // slots 0: none
    int ratio;
    Ids selected;
    bool whole_segment;
  };
  void attend_segment(const SegmentKeys& keys, std::span<const float> sinks, Chunk chunk,
                      Floats rotation, Values q, Values o);

  /// Rows of x ready for dot products: quantised and padded copies, or x itself where possible.
  /// Valid until the next call with the same `keep`.
  struct Prepared {
    Scratch data;
    std::vector<const float*> rows;
  };
  const float* const* prepare(Prepared& keep, const float* x, int64_t n, int64_t cols, int64_t ldx,
                              bool quantise);
  void run(std::span<const MatmulJob> jobs);
  /// Outputs of experts before they are summed. Valid until the next call.
  struct ExpertRows {
    std::vector<int64_t> place;     // [n * per_token] row of `routed` that a pair (token, slot) has
    const float* routed = nullptr;  // [n * per_token, d], pairs in ascending expert id
    const float* shared = nullptr;  // [n, d]
  };
  /// The chosen experts on x, times `route_weights` (null: 1); the shared one too if asked.
  ExpertRows run_experts(const weights::Moe& moe, float swiglu_limit, int k, int n, Values x,
                         Ids ids, const float* route_weights, bool with_shared);
  /// y = W x for all rows of w.
  void multiply(const weights::Matrix& w, int64_t n, const float* x, bool quantise, bool round,
                float* y);
  float* worker_scratch(int worker, int64_t count) {
    return scratch_[static_cast<size_t>(worker)].floats(count);
  }

  ThreadPool pool_;
  const bool strict_;
  std::vector<double> marks_;
  std::vector<Scratch> scratch_;  // one per worker
  Prepared prepared_;
  Prepared prepared_plain_;
  Prepared prepared_hidden_;
  Scratch shared_[6];
};

/// The view from row `row` on.
template <class View>
View from_row(View v, int64_t row) {
  if (!v.data) return v;
  return {v.data + row * v.cols * 4, v.cols};  // every element of this back end takes four bytes
}

inline float* floats(Values v) {
  return reinterpret_cast<float*>(v.data);
}
inline float* floats(Floats v) {
  return reinterpret_cast<float*>(v.data);
}
inline int32_t* ints(Ids v) {
  return reinterpret_cast<int32_t*>(v.data);
}

}  // namespace ds4::ops::cpu

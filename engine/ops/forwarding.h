// A back end that hands every call to another one: the base of back ends that watch or change
// single operations (pruning's observer, deliberate faults). Computes nothing itself, and lets no
// step be recorded, since that would pass it by.
#pragma once

#include <memory>
#include <span>
#include <utility>

#include "engine/ops/ops.h"
#include "engine/weights/structure.h"

namespace ds4::ops {

class ForwardingBackend : public Backend {
 public:
  explicit ForwardingBackend(std::unique_ptr<Backend> inner) : inner_(std::move(inner)) {}

  int value_bytes() const override { return inner_->value_bytes(); }
  weights::ModelWeights load(weights::OpenedModel opened, bool drafts,
                             const LoadProgress& progress) override {
    return inner_->load(std::move(opened), drafts, progress);
  }
  void reserve(int64_t pieces, int64_t scratch) override { inner_->reserve(pieces, scratch); }
  Buffer allocate(int64_t bytes) override { return inner_->allocate(bytes); }
  void write_ids(std::span<const int32_t> from, Ids to) override { inner_->write_ids(from, to); }
  std::span<const float> read_floats(Floats from, int64_t count) override {
    return inner_->read_floats(from, count);
  }
  void copy(std::span<const Copy> copies) override { inner_->copy(copies); }
  void read(const std::byte* from, std::span<std::byte> to) override { inner_->read(from, to); }
  void write(std::span<const std::byte> from, std::byte* to) override { inner_->write(from, to); }
  void mark() override { inner_->mark(); }
  std::vector<double> take_marks() override { return inner_->take_marks(); }

  void embed(const weights::Matrix& table, int n, Ids tokens, Values h) override {
    inner_->embed(table, n, tokens, h);
  }
  void mix_in(const weights::HyperConnection& hc, const MixSettings& settings,
              std::span<const float> gain, int n, Values h, Floats mix, Values x) override {
    inner_->mix_in(hc, settings, gain, n, h, mix, x);
  }
  void mix_out(int streams, int n, Values y, Floats mix, Values h) override {
    inner_->mix_out(streams, n, y, mix, h);
  }

  void project(const weights::Matrix& w, int n, Values x, Values y) override {
    inner_->project(w, n, x, y);
  }
  void project_wide(const weights::Matrix& w, int n, Values x, Floats y) override {
    inner_->project_wide(w, n, x, y);
  }
  void rms_norm(std::span<const float> gain, float eps, int n, Values x, Values y) override {
    inner_->rms_norm(gain, eps, n, x, y);
  }

  void rotation(std::span<const float> frequencies, Segments segments, Floats table) override {
    inner_->rotation(frequencies, segments, table);
  }
  void finish_queries(int heads, float eps, int n, Floats rotation, Values q) override {
    inner_->finish_queries(heads, eps, n, rotation, q);
  }
  void store_raw_rows(std::span<const float> gain, float eps, Segments segments, Floats rotation,
                      Values kv, std::span<const RowStore> rows) override {
    inner_->store_raw_rows(gain, eps, segments, rotation, kv, rows);
  }
  void compress(const CompressorStep& step, bool index, Segments segments, Floats kv,
                Floats score) override {
    inner_->compress(step, index, segments, kv, score);
  }
  void finish_index_queries(int heads, RowFormat keys, int n, Floats rotation, Values iq) override {
    inner_->finish_index_queries(heads, keys, n, rotation, iq);
  }
  void select_rows(int heads, int ratio, Segments segments, Values iq, Values projected,
                   std::span<const RowStore> keys, Ids selected) override {
    inner_->select_rows(heads, ratio, segments, iq, projected, keys, selected);
  }
  void attend(const KeySet& keys, std::span<const float> sinks, Segments segments, Floats rotation,
              Values q, Values o) override {
    inner_->attend(keys, sinks, segments, rotation, q, o);
  }
  void project_groups(const weights::Matrix& w, int groups, int n, Values o, Values u) override {
    inner_->project_groups(w, groups, n, o, u);
  }

  void route(const weights::Moe& moe, const RouteSettings& settings, int n, Ids tokens,
             Floats logits, Ids ids, Floats route_weights) override {
    inner_->route(moe, settings, n, tokens, logits, ids, route_weights);
  }
  void experts(const weights::Moe& moe, float swiglu_limit, int per_token, int n, Values x, Ids ids,
               Floats route_weights, Values y) override {
    inner_->experts(moe, swiglu_limit, per_token, n, x, ids, route_weights, y);
  }
  void expert_norms(const weights::Moe& moe, float swiglu_limit, int per_token, int n, Values x,
                    Ids ids, Floats norms) override {
    inner_->expert_norms(moe, swiglu_limit, per_token, n, x, ids, norms);
  }

  void mix_head(const weights::HeadMix& hc, const MixSettings& settings,
                std::span<const float> gain, int n, Values h, Values x) override {
    inner_->mix_head(hc, settings, gain, n, h, x);
  }

  void mtp_input(const weights::ClassicMtp& mtp, float eps, int n, Values e, Values h) override {
    inner_->mtp_input(mtp, eps, n, e, h);
  }
  void mean_streams(int streams, int n, Values h, int64_t column, Values mean) override {
    inner_->mean_streams(streams, n, h, column, mean);
  }
  void add_markov_bias(const weights::Matrix& w1, const weights::Matrix& w2, TokenId previous,
                       int64_t row, Floats logits) override {
    inner_->add_markov_bias(w1, w2, previous, row, logits);
  }

  void sample(std::span<const Draw> draws, std::span<TokenId> tokens) override {
    inner_->sample(draws, tokens);
  }

 protected:
  Backend& inner() { return *inner_; }

 private:
  std::unique_ptr<Backend> inner_;
};

}  // namespace ds4::ops

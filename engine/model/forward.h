// The forward pass of a batch of tokens through all layers (model.md 3). Owns the activations; the
// sequences' memory comes with each call, the weights and the back end are borrowed.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/api/text.h"
#include "engine/cache/kv_cache.h"
#include "engine/model/drafter.h"
#include "engine/model/mechanisms.h"
#include "engine/model/workspace.h"
#include "engine/ops/ops.h"
#include "engine/weights/weights.h"

namespace ds4::model {

/// What one sequence adds to a batch: tokens for positions first.., whose earlier positions `cache`
/// remembers. Token ids are checked by the caller.
struct SequenceRows {
  std::span<const TokenId> tokens;
  int64_t first = 0;
  const cache::KvCache* cache = nullptr;
  DraftMemory* drafts = nullptr;  // what the drafter, if there is one, keeps of it
};

class Forward {
 public:
  /// `capacity`: the most tokens one run() takes. Borrowed objects must outlive this one.
  Forward(const weights::ModelWeights& weights, ops::Backend& backend, int capacity,
          std::unique_ptr<Drafter> drafter = nullptr);

  int capacity() const { return at_.capacity; }

  /// Runs the rows of one or more different sequences, at most `capacity` in all, laid end to end
  /// in the order given.
  void run(std::span<const SequenceRows> batch);

  /// Computes the logits of rows [row, row + count) of the last run, [count, vocab], in the back
  /// end's memory; count at most Workspace::kLogitRows. Valid until the next call of this object.
  ops::Floats compute_logits(int row, int count);
  /// The same brought to the host.
  std::span<const float> logits(int row, int count);

  /// Null without drafts.
  Drafter* drafter() { return drafter_.get(); }
  /// Drafter::propose over this workspace; what the last run left there is lost.
  void propose(std::span<const Proposal> proposals, const Draw& draw);

 private:
  Pass pass();
  void run_layers(const Pass& pass, std::span<const SequenceRows> batch);

  const weights::ModelWeights& weights_;
  ops::Backend& ops_;
  std::vector<float> plain_frequencies_;
  std::vector<float> yarn_frequencies_;
  Workspace at_;
  LayerStores stores_;
  std::vector<TokenId> tokens_;
  std::vector<ops::Segment> segments_;
  std::vector<int64_t> step_key_;
  std::unique_ptr<Drafter> drafter_;
};

/// The most experts any layer or draft block has.
int most_experts(const weights::ModelWeights& weights);

}  // namespace ds4::model

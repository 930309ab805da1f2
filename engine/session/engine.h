// Implements engine/api/session.h: the loaded engine with its back end, and sessions that keep one
// timeline each.
#pragma once

#include <algorithm>
#include <filesystem>
#include <memory>
#include <vector>

#include "engine/api/session.h"
#include "engine/cache/history.h"
#include "engine/cache/kv_cache.h"
#include "engine/model/forward.h"
#include "engine/ops/ops.h"
#include "engine/session/snapshot.h"
#include "engine/weights/weights.h"

namespace ds4::session {

class LoadedEngine final : public Engine {
 public:
  LoadedEngine(weights::ModelWeights weights, ModelInfo info, const EngineSettings& settings,
               std::unique_ptr<ops::Backend> backend);

  const ModelInfo& info() const override { return info_; }
  const EngineSettings& settings() const override { return settings_; }
  std::unique_ptr<Session> new_session() override;
  void pass(std::span<Round> rounds, std::span<const Addition> additions) override;
  int64_t max_rows() const override { return forward_->capacity(); }

  const weights::ModelConfig& config() const { return weights_.config; }
  ops::Backend& backend() { return *backend_; }
  model::Forward& forward() { return *forward_; }

 private:
  const weights::ModelWeights weights_;
  const ModelInfo info_;
  const EngineSettings settings_;
  std::unique_ptr<ops::Backend> backend_;
  std::unique_ptr<model::Forward> forward_;  // shared by the sessions, which take turns
  int sessions_ = 0;                         // that exist now
  friend class TimelineSession;
};

class TimelineSession final : public Session {
 public:
  explicit TimelineSession(LoadedEngine& engine);
  ~TimelineSession() override;

  bool extend_to(std::span<const TokenId> prefix, const Progress& progress,
                 const LogitSink& all_logits) override;
  int64_t rewind(std::span<const TokenId> prefix) override;
  std::span<const TokenId> next_part(std::span<const TokenId> prefix, int64_t most) const override;
  void append(TokenId token) override;
  std::span<const float> logits() const override;
  TokenId sample(const SamplingSettings& sampling) override;
  std::vector<TokenId> decode(const SamplingSettings& sampling, int64_t max_tokens,
                              std::span<const TokenId> stops, const Drawn& drawn) override;
  const DraftCounts& draft_counts() const override { return draft_counts_; }
  std::vector<std::byte> snapshot() const override;
  void save_snapshot(const std::filesystem::path& file) const override;
  void restore(std::span<const std::byte> snapshot) override;
  void load_snapshot(const std::filesystem::path& file) override;
  int64_t length() const override { return static_cast<int64_t>(tokens_.size()); }
  int64_t reused() const override { return reused_; }
  int64_t kv_bytes() const;

  const LoadedEngine& engine() const { return engine_; }
  /// Refuses tokens outside the vocabulary and timelines of `length` tokens that do not fit.
  void check(std::span<const TokenId> tokens, int64_t length) const;
  /// The rows a pass over `tokens` adds to a batch; to be followed by commit() with as many of them
  /// as shall stay: what was computed behind those is forgotten.
  model::SequenceRows begin(std::span<const TokenId> tokens);
  /// Appends tokens that have been computed; `logits` [vocab] belong to the last one.
  void commit(std::span<const TokenId> tokens, ops::Floats logits);

  /// The draw from `logits` [vocab] of what stands behind the timeline and `ahead`.
  ops::Draw draw(const SamplingSettings& sampling, ops::Floats logits,
                 std::span<const TokenId> ahead) const;
  /// Those of the last token. Throws Error(kUsage) when they are not known.
  ops::Floats last_logits() const;
  /// Asks for guesses behind a drawn token that is not computed yet.
  model::Proposal proposal(TokenId drawn, int64_t count) {
    return {tokens_, drawn, static_cast<int>(count), &drafts_};
  }
  /// A round's end: of the computed tokens `ahead` the first `kept` become part of the timeline;
  /// `logits` belong to the last of these.
  void settle(std::span<const TokenId> ahead, size_t kept, ops::Floats logits);

 private:
  void advance(std::span<const TokenId> tokens, const LogitSink& all_logits);
  std::vector<cache::Piece> memory_of(int64_t length) const;
  void write_snapshot(const SnapshotWriter::Sink& sink) const;
  void read_snapshot(std::span<const std::byte> record, const std::string& name);

  LoadedEngine& engine_;
  cache::KvCache cache_;
  cache::History history_;
  model::DraftMemory drafts_;  // empty without a drafter
  std::vector<TokenId> tokens_;
  ops::Buffer logit_memory_;
  ops::Floats logits_;  // of the last token
  bool has_logits_ = false;
  mutable std::vector<float> host_logits_;  // a copy of them, or empty
  int64_t reused_ = 0;
  DraftCounts draft_counts_;
  int64_t n_prompt_ = 0;  // tokens of the last prompt
  int64_t parting_ = 0;   // where it parts from the one before, if a mark there is worth its memory
};

/// Refuses settings that no engine could run this model with: Error(kUsage).
void check_settings(const EngineSettings& settings, const ModelInfo& info);

}  // namespace ds4::session

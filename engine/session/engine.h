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
  void append(std::span<const Addition> additions) override;
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
  void append(TokenId token) override;
  std::span<const float> logits() const override { return logits_; }
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

  const LoadedEngine& engine() const { return engine_; }
  /// Refuses tokens outside the vocabulary and timelines of `length` tokens that do not fit.
  void check(std::span<const TokenId> tokens, int64_t length) const;
  /// The rows a pass over `tokens` adds to a batch; to be followed by commit() with as many of them
  /// as shall stay: what was computed behind those is forgotten.
  model::SequenceRows begin(std::span<const TokenId> tokens);
  /// Appends tokens that have been computed; `logits` belong to the last one.
  void commit(std::span<const TokenId> tokens, std::span<const float> logits);

 private:
  void advance(std::span<const TokenId> tokens, const LogitSink& all_logits);
  // Appends up to `count` guesses to `timeline`, whose last token is drawn but not computed.
  void guess(const SamplingSettings& sampling, int64_t count, std::vector<TokenId>& timeline);
  // `tokens`, a beginning of the timeline or what it may become, for the repetition controls.
  TokenHistory with_prompt(std::span<const TokenId> tokens) const {
    return {tokens, std::min(n_prompt_, static_cast<int64_t>(tokens.size()))};
  }
  std::vector<cache::Piece> memory_of(int64_t length) const;
  void write_snapshot(const SnapshotWriter::Sink& sink) const;
  void read_snapshot(std::span<const std::byte> record, const std::string& name);

  LoadedEngine& engine_;
  cache::KvCache cache_;
  cache::History history_;
  model::DraftMemory drafts_;  // empty without a drafter
  std::vector<TokenId> tokens_;
  std::vector<float> logits_;
  int64_t reused_ = 0;
  DraftCounts draft_counts_;
  int64_t n_prompt_ = 0;  // tokens of the last extend_to()
};

/// Refuses settings that no engine could run this model with: Error(kUsage).
void check_settings(const EngineSettings& settings, const ModelInfo& info);

}  // namespace ds4::session

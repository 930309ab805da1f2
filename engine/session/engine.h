// Implements engine/api/session.h: the loaded engine with its back end, and sessions that keep one
// timeline each.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "engine/api/session.h"
#include "engine/cache/kv_cache.h"
#include "engine/model/forward.h"
#include "engine/ops/ops.h"
#include "engine/weights/weights.h"

namespace ds4::session {

class LoadedEngine final : public Engine {
 public:
  LoadedEngine(weights::ModelWeights weights, ModelInfo info, const EngineSettings& settings);

  const ModelInfo& info() const override { return info_; }
  const EngineSettings& settings() const override { return settings_; }
  std::unique_ptr<Session> new_session() override;

  const weights::ModelConfig& config() const { return weights_.config; }
  ops::Backend& backend() { return *backend_; }
  model::Forward& forward() { return *forward_; }

 private:
  const weights::ModelWeights weights_;
  const ModelInfo info_;
  const EngineSettings settings_;
  std::unique_ptr<ops::Backend> backend_;
  std::unique_ptr<model::Forward> forward_;  // shared by the sessions, which take turns
};

class TimelineSession final : public Session {
 public:
  explicit TimelineSession(LoadedEngine& engine);

  bool extend_to(std::span<const TokenId> prefix, const Progress& progress,
                 const LogitSink& all_logits) override;
  void append(TokenId token) override;
  std::span<const float> logits() const override { return logits_; }
  TokenId sample(const SamplingSettings& sampling) override;
  int64_t length() const override { return static_cast<int64_t>(tokens_.size()); }
  int64_t reused() const override { return reused_; }

 private:
  void check(std::span<const TokenId> tokens, int64_t length) const;
  void advance(std::span<const TokenId> tokens, const LogitSink& all_logits);

  LoadedEngine& engine_;
  cache::KvCache cache_;
  std::vector<TokenId> tokens_;
  std::vector<float> logits_;
  int64_t reused_ = 0;
};

/// Refuses settings no engine could run with: Error(kUsage).
void check_settings(const EngineSettings& settings, int64_t context_limit);

}  // namespace ds4::session

// What the session tests share: random tokens, settings, and an engine that always starts from
// nothing to compare with.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "engine/api/session.h"
#include "tests/unit/engine/golden_file.h"
#include "tests/unit/engine/test_device.h"

namespace ds4::session_test {

using Tokens = std::vector<TokenId>;
using Rng = std::mt19937;

inline Tokens random_tokens(Rng& rng, size_t n, int64_t vocab) {
  Tokens tokens(n);
  for (TokenId& token : tokens) token = static_cast<TokenId>(rng() % static_cast<uint32_t>(vocab));
  return tokens;
}

inline std::vector<float> logits_of(const Session& session) {
  return {session.logits().begin(), session.logits().end()};
}

inline EngineSettings settings_with(int64_t context, int chunk, int sequences = 1) {
  EngineSettings settings;
  settings.device = golden::kTestDevice;
  settings.context_length = context;
  settings.prefill_chunk = chunk;
  settings.sequences = sequences;
  settings.threads = 2;
  return settings;
}

inline std::filesystem::path model_folder(const std::string& name) {
  return golden::vectors_dir() / "models" / name;
}

/// An engine under test and another one whose sessions are always new.
struct Pair {
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Engine> fresh;

  Pair(const std::string& model, const EngineSettings& settings) {
    engine = Engine::load(model_folder(model), settings);
    EngineSettings other = settings;
    other.prefill_chunk = 256;
    other.sequences = 1;
    fresh = Engine::load(model_folder(model), other);
  }
  std::vector<float> cold(const Tokens& tokens) const {
    const auto session = fresh->new_session();
    session->extend_to(tokens);
    return logits_of(*session);
  }
  int64_t vocab() const { return engine->info().vocab_size; }
};

}  // namespace ds4::session_test

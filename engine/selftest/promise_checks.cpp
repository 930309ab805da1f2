// The promises of sessions: chunk sizes, neighbours, threads, going back and prefix reuse change
// nothing, to the bit. Each compares two ways to one timeline.
#include <algorithm>
#include <numeric>

#include "engine/selftest/check.h"

namespace ds4::selftest {
namespace fs = std::filesystem;
namespace {

using Tokens = std::vector<TokenId>;

constexpr int64_t kLength = 300;  // two blocks of 128 and a rest
constexpr int kChunk = 512;

/// Reproducible text without any meaning; different salts part at the first token.
Tokens text(int64_t n, int64_t vocab, uint32_t salt) {
  Tokens tokens;
  uint32_t state = salt * 2654435761u + 12345u;
  for (int64_t i = 0; i < n; ++i) {
    state = state * 1664525u + 1013904223u;
    tokens.push_back(static_cast<TokenId>((state >> 8) % static_cast<uint64_t>(vocab)));
  }
  return tokens;
}

Tokens joined(Tokens first, const Tokens& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

std::span<const TokenId> part(const Tokens& tokens, size_t begin, size_t n) {
  return std::span(tokens).subspan(begin, n);
}

struct Rows {
  std::vector<float> logits;
  Session::LogitSink sink() {
    return [this](int64_t, std::span<const float> rows) {
      logits.insert(logits.end(), rows.begin(), rows.end());
    };
  }
};

/// One engine per way; the reference way is a fresh session that reads everything at once.
class Promise {
 public:
  Promise(const Bench& bench, fs::path checkpoint)
      : bench_(bench), checkpoint_(std::move(checkpoint)) {}

  std::unique_ptr<Engine> engine(int chunk = kChunk, int threads = 0, int sequences = 1) const {
    EngineSettings settings = bench_.settings(Precision::kReference, 2 * kLength, chunk);
    if (threads) settings.threads = threads;
    settings.sequences = sequences;
    return bench_.make(checkpoint_, settings);
  }
  /// All logits of a text in chunks.
  std::vector<float> read(const Tokens& tokens, int chunk = kChunk, int threads = 0) const {
    const auto made = engine(chunk, threads);
    Rows rows;
    made->new_session()->extend_to(tokens, nullptr, rows.sink());
    return rows.logits;
  }
  /// The last logits of a fresh session.
  static std::vector<float> fresh(Engine& engine, std::span<const TokenId> tokens) {
    const auto session = engine.new_session();
    session->extend_to(tokens);
    return last(*session);
  }
  static std::vector<float> last(const Session& session) {
    return {session.logits().begin(), session.logits().end()};
  }

 private:
  const Bench& bench_;
  fs::path checkpoint_;
};

int64_t vocabulary(const Engine& engine) {
  return engine.info().vocab_size;
}

Measured same_bits(double error) {
  return {error, 0};
}

Measured chunks(const Promise& promise) {
  const Tokens tokens = text(kLength, vocabulary(*promise.engine()), 1);
  const std::vector<float> whole = promise.read(tokens);
  double error = 0;
  for (const int chunk : {1, 7, 128, 130}) {
    error = std::max(error, relative_error(promise.read(tokens, chunk), whole));
  }
  return same_bits(error);
}

Measured threads(const Promise& promise) {
  const Tokens tokens = text(kLength, vocabulary(*promise.engine()), 2);
  return same_bits(relative_error(promise.read(tokens, 64, 3), promise.read(tokens, 64, 1)));
}

// A prompt that goes on where an earlier one ended, in pieces around the borders of blocks.
Measured prefix_reuse(const Promise& promise) {
  const auto engine = promise.engine(64, 0, 2);
  const Tokens tokens = text(kLength, vocabulary(*engine), 3);
  const auto session = engine->new_session();
  double error = 0;
  for (const size_t n : {1, 2, 3, 4, 5, 8, 15, 16, 17, 127, 128, 129, 200, 256, 300}) {
    const auto prefix = part(tokens, 0, n);
    session->extend_to(prefix);
    error =
        std::max(error, relative_error(Promise::last(*session), Promise::fresh(*engine, prefix)));
  }
  return same_bits(error);
}

// The last tokens taken back and others put in their place, as rejected drafts are, around the
// borders of blocks.
Measured rollback(const Promise& promise) {
  const auto engine = promise.engine(64, 0, 2);
  const int64_t vocab = vocabulary(*engine);
  double error = 0;
  for (const int64_t kept : {126, 127, 128, 130, 203}) {
    const Tokens prompt = text(kept, vocab, 4);
    const Tokens right = joined(prompt, text(9, vocab, 5));
    const auto session = engine->new_session();
    session->extend_to(prompt);
    for (const TokenId wrong : text(3, vocab, 6)) session->append(wrong);
    session->extend_to(right);
    error =
        std::max(error, relative_error(Promise::last(*session), Promise::fresh(*engine, right)));
  }
  return same_bits(error);
}

// Another continuation of an earlier prompt, further back than rings reach.
Measured far_return(const Promise& promise) {
  const auto engine = promise.engine(64, 0, 2);
  const int64_t vocab = vocabulary(*engine);
  const auto session = engine->new_session();
  double error = 0;
  for (const int64_t shared : {150, 131}) {
    const Tokens prompt = text(shared, vocab, 7);
    const Tokens right = joined(prompt, text(40, vocab, 9));
    session->extend_to(prompt);
    session->extend_to(joined(prompt, text(140, vocab, 8)));
    session->extend_to(right);
    error =
        std::max(error, relative_error(Promise::last(*session), Promise::fresh(*engine, right)));
  }
  return same_bits(error);
}

// Sessions of different lengths in one pass: single steps beside chunks of prompts.
Measured neighbours(const Promise& promise) {
  const auto engine = promise.engine(64, 0, 4);
  const int64_t vocab = vocabulary(*engine);
  const std::vector<size_t> starts{130, 17, 126};
  const std::vector<size_t> steps{1, 13, 4};
  std::vector<Tokens> texts;
  std::vector<std::unique_ptr<Session>> sessions;
  std::vector<Engine::Addition> additions;
  for (size_t i = 0; i < starts.size(); ++i) {
    texts.push_back(text(kLength, vocab, static_cast<uint32_t>(10 + i)));
    sessions.push_back(engine->new_session());
    sessions[i]->extend_to(part(texts[i], 0, starts[i]));
  }
  double error = 0;
  for (size_t round = 0; round < 3; ++round) {
    additions.clear();
    for (size_t i = 0; i < starts.size(); ++i) {
      additions.push_back(
          {sessions[i].get(), part(texts[i], starts[i] + round * steps[i], steps[i])});
    }
    engine->append(additions);
    for (size_t i = 0; i < starts.size(); ++i) {
      const auto alone = part(texts[i], 0, starts[i] + (round + 1) * steps[i]);
      error = std::max(error,
                       relative_error(Promise::last(*sessions[i]), Promise::fresh(*engine, alone)));
    }
  }
  return same_bits(error);
}

}  // namespace

std::vector<Check> promise_checks(const fs::path& checkpoint, const std::string& label) {
  std::vector<Check> checks;
  const auto add = [&](const char* name, std::vector<std::string> mechanisms,
                       Measured (*measure)(const Promise&)) {
    checks.push_back({name + label, std::move(mechanisms), [measure, checkpoint](const Bench& b) {
                        return measure(Promise(b, checkpoint));
                      }});
  };
  add("chunks", {"chunk borders"}, chunks);
  add("threads", {"threads"}, threads);
  add("prefix_reuse", {"chunk borders", "prefix reuse"}, prefix_reuse);
  add("rollback", {"chunk borders", "prefix reuse", "rollback"}, rollback);
  add("far_return", {"chunk borders", "prefix reuse", "rollback", "marks"}, far_return);
  add("neighbours", {"chunk borders", "batch neighbours"}, neighbours);
  return checks;
}

}  // namespace ds4::selftest

// The promises of sessions: chunk sizes, neighbours, threads, going back and prefix reuse change
// nothing, to the bit. Each compares two ways to one timeline.
#include <algorithm>
#include <fstream>
#include <numeric>

#include "engine/base/error.h"
#include "engine/base/files.h"
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

  std::unique_ptr<Engine> engine(int chunk = kChunk, int threads = 0, int sequences = 1,
                                 int drafts = 0) const {
    EngineSettings settings = bench_.settings(Precision::kReference, 2 * kLength, chunk);
    if (threads) settings.threads = threads;
    settings.sequences = sequences;
    settings.draft_tokens = drafts;
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
  const fs::path& scratch() const { return bench_.scratch; }

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

// A session that takes over another one's snapshot goes on as that one would.
Measured snapshot(const Promise& promise) {
  const auto engine = promise.engine(64, 0, 3);
  const Tokens tokens = text(180, vocabulary(*engine), 15);
  const auto first = engine->new_session();
  first->extend_to(part(tokens, 0, 150));
  const auto second = engine->new_session();
  second->restore(first->snapshot());
  second->extend_to(tokens);
  return same_bits(relative_error(Promise::last(*second), Promise::fresh(*engine, tokens)));
}

// What logits() returns after a prompt is the last row that the sink saw.
Measured last_row(const Promise& promise) {
  const auto engine = promise.engine(64);
  const int64_t vocab = vocabulary(*engine);
  const Tokens tokens = text(100, vocab, 13);
  const auto session = engine->new_session();
  Rows rows;
  session->extend_to(tokens, nullptr, rows.sink());
  const auto row = std::span<const float>(rows.logits).last(static_cast<size_t>(vocab));
  return same_bits(relative_error(Promise::last(*session), row));
}

/// Tokens decoded behind a prompt in rounds with `drafts`; several tokens behind those asked for
/// may have been decoded, the first `n` are returned.
Tokens decoded(const Promise& promise, int drafts, double temperature, size_t n) {
  const auto engine = promise.engine(64, 0, 1, drafts);
  const auto session = engine->new_session();
  session->extend_to(text(125, vocabulary(*engine), 14));
  SamplingSettings sampling;
  sampling.temperature = temperature;
  sampling.seed = 3;
  Tokens tokens;
  while (tokens.size() < n) {
    const Tokens round = session->decode(sampling, drafts + 1, {});
    tokens.insert(tokens.end(), round.begin(), round.end());
  }
  tokens.resize(n);
  return tokens;
}

/// Whether a session that holds `tokens` refuses such a file and stays as it was.
bool refuses(Session& session, const fs::path& file, const std::string& content,
             std::span<const TokenId> tokens) {
  const std::vector<float> before = Promise::last(session);
  std::ofstream(file, std::ios::binary) << content;
  try {
    session.load_snapshot(file);
    return false;
  } catch (const Error&) {
    return session.length() == std::ssize(tokens) && Promise::last(session) == before;
  }
}

// The same through a file; one with a flipped bit, or cut off, is refused and changes nothing.
Measured snapshot_file(const Promise& promise) {
  const fs::path file = promise.scratch() / "session.snapshot";
  const auto engine = promise.engine(64, 0, 3);
  const Tokens tokens = text(180, vocabulary(*engine), 16);
  const auto first = engine->new_session();
  first->extend_to(part(tokens, 0, 150));
  first->save_snapshot(file);
  const auto second = engine->new_session();
  second->load_snapshot(file);
  const double restored = relative_error(Promise::last(*second), Promise::last(*first));
  second->extend_to(tokens);
  double error =
      std::max(restored, relative_error(Promise::last(*second), Promise::fresh(*engine, tokens)));

  const std::string whole = read_file(file, INT64_MAX);
  for (const size_t at : {size_t{0}, size_t{9}, whole.size() / 2, whole.size() - 1}) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    error += !refuses(*second, file, damaged, tokens);
  }
  error += !refuses(*second, file, whole.substr(0, whole.size() / 2), tokens);
  return same_bits(error);
}

// Guesses change no token, greedy or drawn; `error` is the share of different ones.
Measured speculation(const Promise& promise) {
  constexpr size_t kTokens = 48;
  const int drafts = std::min(2, promise.engine()->info().most_drafts);
  int wrong = 0;
  for (const double temperature : {0.0, 2.0}) {
    const Tokens plain = decoded(promise, 0, temperature, kTokens);
    const Tokens guessed = decoded(promise, drafts, temperature, kTokens);
    for (size_t i = 0; i < kTokens; ++i) wrong += plain[i] != guessed[i];
  }
  return same_bits(wrong / (2.0 * kTokens));
}

}  // namespace

std::vector<Check> promise_checks(const fs::path& checkpoint, const std::string& prefix,
                                  bool drafts) {
  std::vector<Check> checks;
  const auto add = [&](const char* name, std::vector<std::string> mechanisms,
                       Measured (*measure)(const Promise&)) {
    checks.push_back({prefix + name, std::move(mechanisms), [measure, checkpoint](const Bench& b) {
                        return measure(Promise(b, checkpoint));
                      }});
  };
  add("chunks", {"chunk borders"}, chunks);
  add("threads", {"threads"}, threads);
  add("last_row", {"logits row"}, last_row);
  add("prefix_reuse", {"chunk borders", "prefix reuse"}, prefix_reuse);
  add("rollback", {"prefix reuse", "rollback"}, rollback);
  add("far_return", {"prefix reuse", "rollback", "marks"}, far_return);
  add("snapshot", {"snapshot"}, snapshot);
  add("snapshot_file", {"snapshot", "snapshot file"}, snapshot_file);
  if (drafts) add("speculation", {"speculation"}, speculation);
  add("neighbours", {"batch neighbours"}, neighbours);
  return checks;
}

}  // namespace ds4::selftest

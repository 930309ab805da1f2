// Faults of what a sequence remembers, of going back, batches and drawing (traps T19-T22).
#include <algorithm>
#include <cmath>
#include <map>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "tests/faults/fault.h"

namespace ds4::faults {
namespace {

using namespace ops;  // NOLINT: every operation's signature is one of theirs

/// The tails of a chunk's compressors do not reach the next chunk.
class TailForgotten final : public Spoiled {
 public:
  using Spoiled::Spoiled;
  void compress(const CompressorStep& step, bool index, Segments segments, Floats kv,
                Floats score) override {
    for (size_t s = 0; s < segments.size(); ++s) {
      const TailRing& tail = step.tails[s];
      if (segments[s].chunk.n == 1) continue;
      std::fill_n(floats(tail.kv), tail.slots * tail.kv.cols, 0.0f);
      std::fill_n(floats(tail.score), tail.slots * tail.score.cols, 0.0f);
    }
    inner().compress(step, index, segments, kv, score);
  }
};

/// Copies back into the tails, as when a mark is restored, are left out.
class TailsNotRestored final : public Spoiled {
 public:
  using Spoiled::Spoiled;
  void compress(const CompressorStep& step, bool index, Segments segments, Floats kv,
                Floats score) override {
    for (const TailRing& tail : step.tails) {
      for (const Floats& ring : {tail.kv, tail.score}) {
        tails_[ring.data] = ring.data + tail.slots * ring.cols * 4;
      }
    }
    inner().compress(step, index, segments, kv, score);
  }
  void copy(std::span<const Copy> copies) override {
    std::vector<Copy> kept;
    for (const Copy& one : copies) {
      const auto next = tails_.upper_bound(one.to);
      const bool tail = next != tails_.begin() && one.to < std::prev(next)->second;
      if (!tail) kept.push_back(one);
    }
    inner().copy(kept);
  }

  // Memory of a session that is gone may be anything in the next one.
  Buffer allocate(int64_t bytes) override {
    Buffer buffer = inner().allocate(bytes);
    const std::byte* begin = buffer.data.get();
    std::erase_if(tails_, [&](const auto& tail) {
      return tail.first < begin + buffer.bytes && begin < tail.second;
    });
    return buffer;
  }

 private:
  std::map<std::byte*, std::byte*> tails_;  // begin -> end
};

/// Every sequence of a batch reads the first one's raw rows.
class NeighboursRows final : public Spoiled {
 public:
  using Spoiled::Spoiled;
  void attend(const KeySet& keys, std::span<const float> sinks, Segments segments, Floats rotation,
              Values q, Values o) override {
    std::vector<RowStore> first(keys.raw.size(), keys.raw.front());
    KeySet other = keys;
    other.raw = first;
    inner().attend(other, sinks, segments, rotation, q, o);
  }
};

/// A verified draft is compared with the logits of the row before its own, and the timeline goes on
/// from these too.
class DraftsReadRowBefore final : public Spoiled {
 public:
  using Spoiled::Spoiled;
  void sample(std::span<const Draw> draws, std::span<TokenId> tokens) override {
    if (draws.front().history.ahead.size() == 1) first_ = draws.front().logits;
    std::vector<Draw> other(draws.begin(), draws.end());
    for (size_t i = 1; i < draws.size(); ++i) {
      if (draws[i].history.ahead.size() > 1) other[i].logits = draws[i - 1].logits;
    }
    inner().sample(other, tokens);
  }
  void copy(std::span<const Copy> copies) override {
    std::vector<Copy> other(copies.begin(), copies.end());
    for (Copy& c : other) {
      for (int row = 1; row < 4 && first_.data; ++row) {
        if (c.from == row_of(first_, row).data) c.from = row_of(first_, row - 1).data;
      }
    }
    inner().copy(other);
  }

 private:
  Floats first_;  // row of a round
};

/// Of each piece of a snapshot only the first half comes back.
class HalfRestored final : public Spoiled {
 public:
  using Spoiled::Spoiled;
  void write(std::span<const std::byte> from, std::byte* to) override {
    inner().write(from.first(from.size() / 2), to);
  }
};

class ForwardingSession : public Session {
 public:
  explicit ForwardingSession(std::unique_ptr<Session> inner) : inner_(std::move(inner)) {}

  bool extend_to(std::span<const TokenId> prefix, const Progress& progress,
                 const LogitSink& all_logits) override {
    return inner_->extend_to(prefix, progress, all_logits);
  }
  int64_t rewind(std::span<const TokenId> prefix) override { return inner_->rewind(prefix); }
  std::span<const TokenId> next_part(std::span<const TokenId> prefix, int64_t most) const override {
    return inner_->next_part(prefix, most);
  }
  void append(TokenId token) override { inner_->append(token); }
  std::span<const float> logits() const override { return inner_->logits(); }
  TokenId sample(const SamplingSettings& sampling) override { return inner_->sample(sampling); }
  std::vector<TokenId> decode(const SamplingSettings& sampling, int64_t max_tokens,
                              std::span<const TokenId> stops, const Drawn& drawn) override {
    return inner_->decode(sampling, max_tokens, stops, drawn);
  }
  const DraftCounts& draft_counts() const override { return inner_->draft_counts(); }
  std::vector<std::byte> snapshot() const override { return inner_->snapshot(); }
  void save_snapshot(const std::filesystem::path& file) const override {
    inner_->save_snapshot(file);
  }
  void restore(std::span<const std::byte> snapshot) override { inner_->restore(snapshot); }
  void load_snapshot(const std::filesystem::path& file) override { inner_->load_snapshot(file); }
  int64_t length() const override { return inner_->length(); }
  int64_t reused() const override { return inner_->reused(); }

 protected:
  Session& inner() { return *inner_; }

 private:
  std::unique_ptr<Session> inner_;
};

/// Remembers what the timeline holds and changes prompts before they reach the engine.
class OtherPrompts : public ForwardingSession {
 public:
  using ForwardingSession::ForwardingSession;
  bool extend_to(std::span<const TokenId> prefix, const Progress& progress,
                 const LogitSink& all_logits) override {
    std::vector<TokenId> tokens = changed({prefix.begin(), prefix.end()});
    const bool done = inner().extend_to(tokens, progress, all_logits);
    held_ = std::move(tokens);
    return done;
  }
  void append(TokenId token) override {
    inner().append(token);
    held_.push_back(token);
  }

 protected:
  virtual std::vector<TokenId> changed(std::vector<TokenId> prefix) const = 0;
  const std::vector<TokenId>& held() const { return held_; }

 private:
  std::vector<TokenId> held_;
};

/// A prompt at least as long as the timeline is taken for its continuation.
class ReuseByLength final : public OtherPrompts {
 public:
  using OtherPrompts::OtherPrompts;

 private:
  std::vector<TokenId> changed(std::vector<TokenId> prefix) const override {
    if (held().size() <= prefix.size()) std::copy(held().begin(), held().end(), prefix.begin());
    return prefix;
  }
};

/// Going back keeps the first token that differs.
class OneTokenTooMany final : public OtherPrompts {
 public:
  using OtherPrompts::OtherPrompts;

 private:
  std::vector<TokenId> changed(std::vector<TokenId> prefix) const override {
    const auto [old, now] =
        std::mismatch(held().begin(), held().end(), prefix.begin(), prefix.end());
    if (old != held().end() && now != prefix.end()) *now = *old;
    return prefix;
  }
};

/// After a prompt the logits are those of the row before the last.
class RowBefore final : public ForwardingSession {
 public:
  using ForwardingSession::ForwardingSession;
  bool extend_to(std::span<const TokenId> prefix, const Progress& progress,
                 const LogitSink& all_logits) override {
    std::vector<float> seen;
    const bool done =
        inner().extend_to(prefix, progress, [&](int64_t first, std::span<const float> rows) {
          seen.insert(seen.end(), rows.begin(), rows.end());
          if (all_logits) all_logits(first, rows);
        });
    const auto vocab = static_cast<std::ptrdiff_t>(inner().logits().size());
    before_.clear();
    if (std::ssize(seen) >= 2 * vocab) before_.assign(seen.end() - 2 * vocab, seen.end() - vocab);
    return done;
  }
  void append(TokenId token) override {
    before_.clear();
    inner().append(token);
  }
  std::span<const float> logits() const override {
    return before_.empty() ? ForwardingSession::logits() : std::span<const float>(before_);
  }

 private:
  std::vector<float> before_;
};

template <class Change>
class OtherSampling final : public ForwardingSession {
 public:
  using ForwardingSession::ForwardingSession;
  TokenId sample(const SamplingSettings& sampling) override {
    SamplingSettings other = sampling;
    Change()(other);
    return inner().sample(other);
  }
};
struct SeedCutTo32Bits {
  void operator()(SamplingSettings& sampling) const { sampling.seed &= 0xFFFFFFFF; }
};
struct SequenceIgnored {
  void operator()(SamplingSettings& sampling) const { sampling.sequence = 0; }
};
struct TopPIgnored {
  void operator()(SamplingSettings& sampling) const { sampling.top_p = 1; }
};
struct TemperatureSquared {
  void operator()(SamplingSettings& sampling) const {
    sampling.temperature *= sampling.temperature;
  }
};

struct TopKPlusOne {
  void operator()(SamplingSettings& sampling) const { sampling.top_k += sampling.top_k > 0; }
};
struct MinPBeforeTemperature {
  void operator()(SamplingSettings& sampling) const {
    if (sampling.temperature > 0) {
      sampling.min_p = std::pow(sampling.min_p, 1 / sampling.temperature);
    }
  }
};
struct RepetitionIgnored {
  void operator()(SamplingSettings& sampling) const { sampling.repetition_penalty = 1; }
};
struct FrequencyCountedOnce {
  void operator()(SamplingSettings& sampling) const {
    sampling.presence_penalty += sampling.frequency_penalty;
    sampling.frequency_penalty = 0;
  }
};
struct BiasIgnored {
  void operator()(SamplingSettings& sampling) const { sampling.logit_bias.clear(); }
};

/// The prompt behind its first token is taken for a part of the answer.
class PromptAsAnswer final : public ForwardingSession {
 public:
  using ForwardingSession::ForwardingSession;
  bool extend_to(std::span<const TokenId> prefix, const Progress& progress,
                 const LogitSink& all_logits) override {
    if (progress || all_logits || inner().length() > 0) {
      return inner().extend_to(prefix, progress, all_logits);
    }
    inner().extend_to(prefix.first(1));
    for (const TokenId token : prefix.subspan(1)) inner().append(token);
    return true;
  }
};

/// Whatever is wrong with a snapshot's file goes unnoticed.
class DamageUnnoticed final : public ForwardingSession {
 public:
  using ForwardingSession::ForwardingSession;
  void load_snapshot(const std::filesystem::path& file) override {
    try {
      inner().load_snapshot(file);
    } catch (const Error&) {
      return;
    }
  }
};

/// A snapshot's file lacks the last token.
class FileWithoutLastToken final : public OtherPrompts {
 public:
  using OtherPrompts::OtherPrompts;
  void save_snapshot(const std::filesystem::path& file) const override {
    write_file_atomic(file, before_last_);
  }
  bool extend_to(std::span<const TokenId> prefix, const Progress& progress,
                 const LogitSink& all_logits) override {
    if (prefix.size() > 1 && !progress && !all_logits && held().empty()) {
      OtherPrompts::extend_to(prefix.first(prefix.size() - 1), nullptr, nullptr);
      const std::vector<std::byte> record = snapshot();
      before_last_.assign(reinterpret_cast<const char*>(record.data()), record.size());
    }
    return OtherPrompts::extend_to(prefix, progress, all_logits);
  }

 private:
  std::vector<TokenId> changed(std::vector<TokenId> prefix) const override { return prefix; }

  std::string before_last_;
};

template <class Kind>
Fault session_fault(std::string name, std::string mechanism) {
  Fault fault{std::move(name), std::move(mechanism), Seam::kSession, {}, {}, {}};
  fault.wrap_session = [](std::unique_ptr<Session> inner) {
    return std::make_unique<Kind>(std::move(inner));
  };
  return fault;
}

/// Back ends that spoil a sequence's memory rather than a result.
template <class Kind>
Fault memory_fault(std::string name, std::string mechanism) {
  Fault fault = operation_fault<Kind>(std::move(name), std::move(mechanism));
  fault.seam = Seam::kSession;
  return fault;
}

}  // namespace

std::vector<Fault> state_faults() {
  return {
      memory_fault<TailForgotten>("compressor tails lost at a chunk's end", "chunk borders"),
      memory_fault<TailsNotRestored>("marks restored without tails", "marks"),
      memory_fault<HalfRestored>("half of each piece of a snapshot restored", "snapshot"),
      memory_fault<NeighboursRows>("batch reads the first sequence's window", "batch neighbours"),
      memory_fault<DraftsReadRowBefore>("drafts checked against the row before", "speculation"),
      session_fault<ReuseByLength>("prefix reused by length, not by tokens", "rollback"),
      session_fault<OneTokenTooMany>("going back keeps one token too many", "rollback"),
      session_fault<RowBefore>("logits of the row before the last", "logits row"),
      session_fault<OtherSampling<SeedCutTo32Bits>>("seed cut to 32 bits", "sampling"),
      session_fault<OtherSampling<SequenceIgnored>>("sequence number ignored in draws", "sampling"),
      session_fault<OtherSampling<TopPIgnored>>("top_p ignored", "sampling"),
      session_fault<OtherSampling<TemperatureSquared>>("temperature applied twice", "sampling"),
      session_fault<OtherSampling<TopKPlusOne>>("top_k keeps one more", "sampling"),
      session_fault<OtherSampling<MinPBeforeTemperature>>("min_p before temperature", "sampling"),
      session_fault<OtherSampling<RepetitionIgnored>>("repetition penalty ignored", "sampling"),
      session_fault<OtherSampling<FrequencyCountedOnce>>("frequency penalty once per token",
                                                         "sampling"),
      session_fault<PromptAsAnswer>("penalties count the prompt as answer", "sampling"),
      session_fault<OtherSampling<BiasIgnored>>("logit bias ignored", "sampling"),
      session_fault<DamageUnnoticed>("damaged snapshot file taken", "snapshot file"),
      session_fault<FileWithoutLastToken>("snapshot file one token behind", "snapshot file"),
  };
}

}  // namespace ds4::faults

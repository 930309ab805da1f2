// The engine as its users see it: an immutable Engine (weights) and mutable Sessions (one timeline
// each, owning its KV cache). No tensor type leaks out, so the harness is one client among others.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/api/text.h"

namespace ds4 {

enum class Device { kCpu, kCuda };
enum class KvDtype { kFp8, kBf16 };     // kFp8: packed rows, exactly the reference (model.md 4.3)
enum class IndexDtype { kFp4, kBf16 };  // indexer keys and queries on the FP4 grid, or BF16
enum class Precision { kReference, kF32 };  // kF32 (CPU): no rounding point and no simulation
/// Where the weights of the GPU live: in its own memory, in memory that it shares with the
/// processors and that the driver moves, or in a file in the layout of the kernels that the GPU
/// reads where it lies in the page cache (both of use where the two memories are one).
enum class Residency { kDevice, kManaged, kMapped };

struct EngineSettings {
  Device device = Device::kCpu;
  KvDtype kv_dtype = KvDtype::kFp8;
  IndexDtype index_dtype = IndexDtype::kFp4;
  Precision precision = Precision::kReference;
  int64_t context_length = 8192;             // tokens a session can hold
  int prefill_chunk = 512;                   // tokens computed at once while reading a prompt
  int sequences = 1;                         // sessions that exist at a time
  int threads = 0;                           // CPU threads; 0 = all this process may use
  Residency residency = Residency::kDevice;  // of Device::kCuda
  int draft_tokens = 0;  // guesses checked beside a token, up to ModelInfo::most_drafts
};

/// What a checkpoint is, from config.json and tensor headers.
struct ModelInfo {
  std::string model_type;
  int n_layers = 0;
  int hidden_size = 0;
  int64_t vocab_size = 0;
  int64_t context_limit = 0;  // max_position_embeddings
  std::vector<int> experts_per_layer;
  int most_drafts = 0;  // draft tokens the MTP blocks can give; 0 = none in the checkpoint
  // sha256 over tensor headers and sizes, hexadecimal; "synthetic-" in front of generated weights'
  std::string identity;
};

/// Bytes by owner, before anything is allocated.
struct MemoryEstimate {
  struct Part {
    /// "weights", "raw KV", "compressed KV", "indexer keys", "tails", "marks", "logits",
    /// "drafter", "activations"; of the GPU also "CUDA context and graphs" and, of
    /// Residency::kMapped, "weight tables"
    std::string owner;
    int64_t bytes = 0;
  };
  std::vector<Part> parts;
  /// Beside them while the weights come to a GPU: "load staging", there and as much again in pinned
  /// memory of the host.
  std::vector<Part> loading = {};
  /// Of Residency::kMapped: "weights", the file's pages. Memory of the host that the system may take
  /// back and read again; what a step reads must be there all the same, so they count in full.
  std::vector<Part> mapped = {};
  int64_t total_bytes() const;  // of `parts`
};

/// Sees how far loading is: bytes of the weights that are in place, and of all.
using LoadProgress = std::function<void(int64_t done, int64_t total)>;

/// What is added to a token's logit before anything else.
struct LogitBias {
  TokenId token = 0;
  float bias = 0;  // finite; -1000 forbids, 1000 forces
};

/// How the next token is drawn: bias, repetition controls, temperature, top-k, min-p, top-p, draw,
/// in this order (engine/ops/sampling.h defines each to the bit). temperature 0 is greedy (lowest
/// id on ties). Draws come from a counter-based generator keyed by (seed, sequence, position),
/// equal on every back end.
struct SamplingSettings {
  double temperature = 0;
  double top_p = 1;               // keep the likeliest tokens that reach this share; 1 = all
  int64_t top_k = 0;              // keep so many; 0 = all
  double min_p = 0;               // keep those with this share of the likeliest's chance
  double repetition_penalty = 1;  // divides logits of tokens of prompt and answer; 1 = none
  double presence_penalty = 0;    // subtracted once for a token of the answer
  double frequency_penalty = 0;   // subtracted for each of its occurrences in the answer
  std::vector<LogitBias> logit_bias = {};
  uint64_t seed = 0;
  uint64_t sequence = 0;
};

/// What speculation did. Entries i of the lists belong to the draft i + 1 tokens behind the drawn
/// one.
struct DraftCounts {
  int64_t rounds = 0;             // calls of decode()
  std::vector<int64_t> drafted;   // rounds that checked such a draft
  std::vector<int64_t> accepted;  // rounds that kept it
};

/// The tokens in front of the one to be drawn, for the repetition controls: the whole timeline, of
/// which the first n_prompt are the prompt. Ids lie inside the vocabulary.
struct TokenHistory {
  std::span<const TokenId> tokens = {};
  int64_t n_prompt = 0;
  std::span<const TokenId> ahead = {};  // behind them: what the timeline may become
};

/// One sequence: a timeline of tokens and what the model remembers of them. Whatever way a timeline
/// came about, its logits are those of a fresh session, bit for bit. Not thread-safe; sessions of
/// one engine must not run at the same time (Engine::pass runs several in one pass).
class Session {
 public:
  virtual ~Session() = default;

  /// Receives f32 logits of consecutive positions: `logits` is [n, vocab_size], the first row
  /// belongs to `position`.
  using LogitSink = std::function<void(int64_t position, std::span<const float> logits)>;
  /// Called after each chunk with the tokens done so far; returning false stops early.
  using Progress = std::function<bool(int64_t tokens_done)>;
  /// See decode().
  using Drawn = std::function<bool(TokenId token)>;

  /// Makes the timeline equal to `prefix`: goes back as rewind() does and computes the rest.
  /// Afterwards logits() belong to its last token. `all_logits`, if set, receives every newly
  /// computed position. Returns false when stopped. Throws Error(kUsage) when `prefix` is empty,
  /// too long or holds an id outside the vocabulary.
  virtual bool extend_to(std::span<const TokenId> prefix, const Progress& progress = nullptr,
                         const LogitSink& all_logits = nullptr) = 0;
  /// Goes back to the longest prefix of `prefix` from which the session can go on, and returns its
  /// length. A timeline that is a prefix is kept whole; a few tokens are taken back at no cost;
  /// further back lie marks, kept every so often, where prompts ended and where two parted. When
  /// that is less than all of `prefix`, logits() may be empty until a token is appended.
  /// Throws like extend_to().
  virtual int64_t rewind(std::span<const TokenId> prefix) = 0;
  /// After rewind(prefix): the tokens of `prefix` to be appended next, at most `most` and
  /// prefill_chunk of them, ending where the session wants to keep a mark; none when it is whole.
  /// Appended in one go (Engine::pass) part by part, they leave the session as extend_to() does.
  virtual std::span<const TokenId> next_part(std::span<const TokenId> prefix,
                                             int64_t most) const = 0;
  /// Appends one token and computes its logits.
  virtual void append(TokenId token) = 0;
  /// f32 logits [vocab_size] of the last position; valid until the next call. They are brought from
  /// the device when asked for.
  virtual std::span<const float> logits() const = 0;
  /// Draws from logits(); does not append.
  virtual TokenId sample(const SamplingSettings& sampling) = 0;
  /// One round: appends the token that sample() draws and, with EngineSettings::draft_tokens, those
  /// guesses about what follows that equal what would have been drawn. Returns the appended tokens,
  /// 1 to 1 + draft_tokens, at most `max_tokens`, none behind one of `stops`; they are the tokens
  /// that rounds without guesses would give, whatever the sampling. Afterwards logits() belong to
  /// the last. `drawn`, if set, sees the first of them as soon as it is drawn, a pass before the
  /// rest, while logits() are still those it was drawn from; when it returns false the round ends
  /// there, appends nothing and returns nothing. Throws Error(kUsage) when the session is full or
  /// `max_tokens` is below 1.
  virtual std::vector<TokenId> decode(const SamplingSettings& sampling, int64_t max_tokens,
                                      std::span<const TokenId> stops = {},
                                      const Drawn& drawn = nullptr) = 0;
  /// Of the rounds since the last extend_to() or rewind().
  virtual const DraftCounts& draft_counts() const = 0;
  /// The timeline, its logits and all it remembers as one record that tells what it belongs to. It
  /// does not hold the marks.
  virtual std::vector<std::byte> snapshot() const = 0;
  /// The same as a file, which appears under its name only when it is whole. Throws Error(kIo).
  virtual void save_snapshot(const std::filesystem::path& file) const = 0;
  /// Becomes the session of a snapshot; whatever follows is bit-equal to what would have followed
  /// there. Context length and prefill chunk may differ, if the tokens fit. Throws Error(kIo) when
  /// the record is damaged, cut off or of another version, Error(kUsage) when it belongs to another
  /// checkpoint, to other formats or does not fit, and then leaves the session as it was.
  virtual void restore(std::span<const std::byte> snapshot) = 0;
  virtual void load_snapshot(const std::filesystem::path& file) = 0;
  /// Tokens in the timeline.
  virtual int64_t length() const = 0;
  /// Tokens the last extend_to() or rewind() found already computed.
  virtual int64_t reused() const = 0;
};

/// Loaded weights. Outlives its sessions.
class Engine {
 public:
  /// Loads a checkpoint directory. Throws Error(kCheckpoint) naming the file and tensor at fault,
  /// Error(kMachine) when the device is missing or the estimate exceeds the free memory.
  static std::unique_ptr<Engine> load(const std::filesystem::path& checkpoint,
                                      const EngineSettings& settings);
  /// The same, telling `progress` where loading moves the weights (to the GPU); the CPU maps them.
  static std::unique_ptr<Engine> load_watched(const std::filesystem::path& checkpoint,
                                              const EngineSettings& settings,
                                              const LoadProgress& progress);
  virtual ~Engine() = default;

  virtual const ModelInfo& info() const = 0;
  virtual const EngineSettings& settings() const = 0;
  /// Throws Error(kUsage) when settings().sequences of them exist.
  virtual std::unique_ptr<Session> new_session() = 0;

  /// One session's round of decoding: the arguments and the result of Session::decode().
  struct Round {
    Session* session = nullptr;
    const SamplingSettings* sampling = nullptr;
    int64_t max_tokens = 1;
    std::span<const TokenId> stops = {};
    Session::Drawn drawn = nullptr;
    std::vector<TokenId> tokens = {};  // the result
  };
  /// Tokens for the end of one session's timeline.
  struct Addition {
    Session* session = nullptr;
    std::span<const TokenId> tokens;
  };
  /// Runs rounds of some sessions and appends to others, all different ones of this engine, in one
  /// pass; each gets the tokens and logits it would have got alone, bit for bit. An addition takes
  /// 1 to prefill_chunk tokens, a round 1 + draft_tokens rows, together at most max_rows(). Throws
  /// Error(kUsage) and changes nothing when a limit is exceeded, a session is full or a token is
  /// not in the vocabulary.
  virtual void pass(std::span<Round> rounds, std::span<const Addition> additions) = 0;
  void append(std::span<const Addition> additions) { pass({}, additions); }
  virtual int64_t max_rows() const = 0;
};

/// What the GPU behind Device::kCuda calls itself. Throws Error(kMachine) saying why there is none.
std::string gpu_name();

/// Bytes of that GPU's memory that are in use, by whomever; 0 without a GPU.
int64_t gpu_memory_in_use();

struct GpuMemory {
  int64_t total_bytes = 0;
  int64_t free_bytes = 0;  // what an engine of this process could take
  bool shared = false;     // with the processors
};
/// Of that GPU, now. Throws as gpu_name().
GpuMemory gpu_memory();

/// What `Engine::load` would take, from headers alone.
MemoryEstimate estimate_memory(const std::filesystem::path& checkpoint,
                               const EngineSettings& settings);

/// ModelInfo from config.json and headers alone; reads no weights.
ModelInfo read_model_info(const std::filesystem::path& checkpoint);

}  // namespace ds4

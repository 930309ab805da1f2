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

struct EngineSettings {
  Device device = Device::kCpu;
  KvDtype kv_dtype = KvDtype::kFp8;
  IndexDtype index_dtype = IndexDtype::kFp4;
  Precision precision = Precision::kReference;
  int64_t context_length = 8192;  // tokens a session can hold
  int prefill_chunk = 512;        // tokens computed at once while reading a prompt
  int threads = 0;                // CPU threads; 0 = all this process may use
};

/// What a checkpoint is, from config.json and tensor headers.
struct ModelInfo {
  std::string model_type;
  int n_layers = 0;
  int hidden_size = 0;
  int64_t vocab_size = 0;
  int64_t context_limit = 0;  // max_position_embeddings
  std::vector<int> experts_per_layer;
  bool has_mtp = false;
  std::string identity;  // sha256 over tensor headers and sizes, hexadecimal
};

/// Bytes by owner, before anything is allocated.
struct MemoryEstimate {
  struct Part {
    std::string
        owner;  // "weights", "raw KV", "compressed KV", "indexer keys", "tails", "activations"
    int64_t bytes = 0;
  };
  std::vector<Part> parts;
  int64_t total_bytes() const;
};

/// How the next token is drawn. temperature 0 is greedy (lowest id on ties). Draws come from a
/// counter-based generator keyed by (seed, sequence, position), equal on every back end.
struct SamplingSettings {
  double temperature = 0;
  double top_p = 1;
  uint64_t seed = 0;
  uint64_t sequence = 0;
};

/// One sequence. Not thread-safe; sessions of one engine must not run at the same time.
class Session {
 public:
  virtual ~Session() = default;

  /// Receives f32 logits of consecutive positions: `logits` is [n, vocab_size], the first row
  /// belongs to `position`.
  using LogitSink = std::function<void(int64_t position, std::span<const float> logits)>;
  /// Called after each chunk with the tokens done so far; returning false stops early.
  using Progress = std::function<bool(int64_t tokens_done)>;

  /// Makes the timeline equal to `prefix`, reusing what is already computed when the timeline is a
  /// prefix of it, else starting over. Afterwards logits() belong to its last token.
  /// `all_logits`, if set, receives every newly computed position. Returns false when stopped.
  /// Throws Error(kUsage) when `prefix` is empty, too long or holds an id outside the vocabulary.
  virtual bool extend_to(std::span<const TokenId> prefix, const Progress& progress = nullptr,
                         const LogitSink& all_logits = nullptr) = 0;
  /// Appends one token and computes its logits.
  virtual void append(TokenId token) = 0;
  /// f32 logits [vocab_size] of the last position; valid until the next call.
  virtual std::span<const float> logits() const = 0;
  /// Draws from logits(); does not append.
  virtual TokenId sample(const SamplingSettings& sampling) = 0;
  /// Tokens in the timeline.
  virtual int64_t length() const = 0;
  /// Tokens the last extend_to() found already computed.
  virtual int64_t reused() const = 0;
};

/// Loaded weights. Outlives its sessions.
class Engine {
 public:
  /// Loads a checkpoint directory. Throws Error(kCheckpoint) naming the file and tensor at fault,
  /// Error(kMachine) when the device is missing or the estimate exceeds the free memory.
  static std::unique_ptr<Engine> load(const std::filesystem::path& checkpoint,
                                      const EngineSettings& settings);
  virtual ~Engine() = default;

  virtual const ModelInfo& info() const = 0;
  virtual const EngineSettings& settings() const = 0;
  virtual std::unique_ptr<Session> new_session() = 0;
};

/// What `Engine::load` would take, from headers alone.
MemoryEstimate estimate_memory(const std::filesystem::path& checkpoint,
                               const EngineSettings& settings);

/// ModelInfo from config.json and headers alone; reads no weights.
ModelInfo read_model_info(const std::filesystem::path& checkpoint);

}  // namespace ds4

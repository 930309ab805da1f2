// Observing: the calibration text through the model, sequence by sequence, with the sums saved so
// that a killed run goes on where it stopped and ends with the same bits.
#include <algorithm>
#include <span>

#include "engine/api/reap.h"
#include "engine/base/check.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/files.h"
#include "engine/cache/kv_cache.h"
#include "engine/model/drafter.h"
#include "engine/model/forward.h"
#include "engine/reap/blocks.h"
#include "engine/reap/calibration.h"
#include "engine/reap/observer.h"
#include "engine/weights/checkpoint.h"

namespace ds4::reap {
namespace {

namespace fs = std::filesystem;

// Tokens computed at once. Fixed, because which positions the draft blocks see depends on it.
constexpr int kChunk = 512;
// A draft block runs one position at a time; an eighth of the positions is enough to rank experts.
constexpr int kDraftsPerChunk = 64;

std::vector<BlockSums> empty_sums(const std::vector<Cut>& blocks) {
  std::vector<BlockSums> sums;
  for (const Cut& block : blocks) {
    const auto n = static_cast<size_t>(block.n_experts);
    sums.push_back({.block = block.name,
                    .hashed = block.hashed,
                    .sums = std::vector<double>(n),
                    .counts = std::vector<int64_t>(n)});
  }
  return sums;
}

// The sequences of a document: BOS in front of each (unless the text brings it), at most `length`
// tokens in all.
std::vector<std::vector<TokenId>> sequences_of(const Tokenizer& tokenizer, const std::string& text,
                                               int length) {
  const std::vector<TokenId> tokens = tokenizer.encode(text, AddedTokens::kParse);
  std::vector<std::vector<TokenId>> sequences;
  for (size_t at = 0; at < tokens.size();) {
    std::vector<TokenId>& sequence = sequences.emplace_back();
    if (tokenizer.bos() >= 0 && tokens[at] != tokenizer.bos()) sequence.push_back(tokenizer.bos());
    const size_t n = std::min(tokens.size() - at, static_cast<size_t>(length) - sequence.size());
    sequence.insert(sequence.end(), tokens.begin() + static_cast<std::ptrdiff_t>(at),
                    tokens.begin() + static_cast<std::ptrdiff_t>(at + n));
    at += n;
  }
  return sequences;
}

// The model behind an observing back end.
class ObservedModel {
 public:
  ObservedModel(const ObserveOptions& options, std::vector<BlockSums>& blocks)
      : weights_(weights::load_weights(options.checkpoint)),
        settings_(settings_of(weights_, options)),
        backend_(ops::make_cpu_backend(options.threads, Precision::kReference)),
        forward_(weights_, backend_, rows_of(weights_.config, settings_),
                 model::make_drafter(weights_, backend_, settings_,
                                     rows_of(weights_.config, settings_))),
        cache_(backend_, cache::plan_cache(weights_.config, settings_)) {
    size_t block = 0;
    for (const weights::Layer& layer : weights_.layers) watch(layer, blocks[block++]);
    if (weights_.mtp) watch(weights_.mtp->block, blocks[block++]);
    if (weights_.dspark) {
      for (const weights::Layer& layer : weights_.dspark->blocks) watch(layer, blocks[block++]);
    }
    DS4_CHECK(block == blocks.size());
    if (forward_.drafter()) drafts_ = forward_.drafter()->new_memory();
  }

  void run(std::span<const TokenId> sequence) {
    drafts_.forget();
    const auto chunk = static_cast<size_t>(settings_.prefill_chunk);
    for (size_t at = 0; at < sequence.size(); at += chunk) {
      const model::SequenceRows rows{
          .tokens = sequence.subspan(at, std::min(chunk, sequence.size() - at)),
          .first = static_cast<int64_t>(at),
          .cache = &cache_,
          .drafts = &drafts_};
      forward_.run({&rows, 1});
      if (forward_.drafter()) draft(sequence, at + rows.tokens.size());
    }
  }

  int64_t vocab_size() const { return weights_.config.vocab_size; }

 private:
  static EngineSettings settings_of(const weights::ModelWeights& model,
                                    const ObserveOptions& options) {
    EngineSettings settings;
    settings.context_length = options.sequence_tokens;
    settings.prefill_chunk = std::min(kChunk, options.sequence_tokens);
    settings.threads = options.threads;
    settings.draft_tokens = model.mtp || model.dspark ? 1 : 0;
    return settings;
  }

  static int rows_of(const weights::ModelConfig& config, const EngineSettings& settings) {
    return std::max(settings.prefill_chunk, config.dspark_block_size);
  }

  void watch(const weights::Layer& layer, BlockSums& sums) { backend_.watch(layer.ffn, sums); }

  // The draft blocks at the last positions before `end`, backwards: going back is free, and the
  // true next token is what a block is paired with. What they guess does not matter.
  void draft(std::span<const TokenId> sequence, size_t end) {
    const auto any_token = [](std::span<const model::Guess>) { return std::vector{TokenId{0}}; };
    size_t length = std::min(end, sequence.size() - 1);
    for (int i = 0; i < kDraftsPerChunk && length > 0; ++i, --length) {
      const model::Proposal proposal{sequence.first(length), sequence[length], 1, &drafts_};
      forward_.propose({&proposal, 1}, any_token);
    }
  }

  const weights::ModelWeights weights_;
  const EngineSettings settings_;
  ObservingBackend backend_;
  model::Forward forward_;
  cache::KvCache cache_;
  model::DraftMemory drafts_;
};

class Observing {
 public:
  explicit Observing(const ObserveOptions& options)
      : options_(options),
        calibration_(options.calibration),
        tokenizer_(Tokenizer::load(options.checkpoint)) {
    if (options.sequence_tokens < 2) {
      throw Error(ErrorCode::kUsage, "a sequence needs at least 2 tokens", "2048 is usual.");
    }
    const auto [config, checkpoint, structure] = weights::open_model(options.checkpoint);
    sums_ = {.origin = {.identity = checkpoint.identity(),
                        .sha256 = weights::content_sha256(checkpoint, options.hash_cache),
                        .calibration = options.calibration.filename().string(),
                        .calibration_sha256 = calibration_.sha256()},
             .experts_per_token = config.num_experts_per_tok,
             .sequence_tokens = options.sequence_tokens,
             .blocks = empty_sums(all_blocks(config, structure))};
    if (fs::exists(options.out)) take_over(read_observation(options.out));
  }

  Observation run(const std::function<bool(const ObserveProgress&)>& progress) {
    if (sums_.complete) return sums_;
    ObservedModel model(options_, sums_.blocks);
    if (tokenizer_->vocab_size() > model.vocab_size()) {
      throw Error(ErrorCode::kCheckpoint,
                  options_.checkpoint.string() +
                      ": the tokenizer has ids beyond the vocabulary of " +
                      std::to_string(model.vocab_size()),
                  "Take tokenizer.json from the same place as the weights.");
    }
    start_s_ = last_save_s_ = monotonic_seconds();
    start_bytes_ = sums_.bytes_done;
    save();  // shows early that the place can be written
    while (const auto document = calibration_.read(sums_.bytes_done)) {
      const auto sequences = sequences_of(*tokenizer_, document->text, options_.sequence_tokens);
      while (sums_.sequences_done < std::ssize(sequences)) {
        const auto& sequence = sequences[static_cast<size_t>(sums_.sequences_done)];
        model.run(sequence);
        sums_.tokens += std::ssize(sequence);
        ++sums_.sequences;
        ++sums_.sequences_done;
        if (!keep_going(progress)) return sums_;
      }
      sums_.bytes_done = document->end;
      sums_.sequences_done = 0;
      ++sums_.documents;
    }
    sums_.complete = true;
    save();
    return sums_;
  }

 private:
  void take_over(Observation earlier) {
    const auto refuse = [&](const std::string& what) {
      throw Error(ErrorCode::kUsage, options_.out.string() + ": was begun with another " + what,
                  "Give the same input to go on, or another --out to begin anew.");
    };
    const Origin& was = earlier.origin;
    const Origin& is = sums_.origin;
    if (was.identity != is.identity || was.sha256 != is.sha256) refuse("checkpoint");
    if (was.calibration_sha256 != is.calibration_sha256) refuse("calibration file");
    if (earlier.sequence_tokens != sums_.sequence_tokens) {
      refuse("sequence length, " + std::to_string(earlier.sequence_tokens));
    }
    bool same = earlier.experts_per_token == sums_.experts_per_token &&
                earlier.blocks.size() == sums_.blocks.size();
    for (size_t i = 0; same && i < sums_.blocks.size(); ++i) {
      same = earlier.blocks[i].block == sums_.blocks[i].block &&
             earlier.blocks[i].sums.size() == sums_.blocks[i].sums.size();
    }
    if (!same || earlier.bytes_done > calibration_.bytes()) refuse("checkpoint or file");
    sums_ = std::move(earlier);
  }

  void save() {
    write_file_atomic(options_.out, observation_text(sums_));
    last_save_s_ = monotonic_seconds();
  }

  bool keep_going(const std::function<bool(const ObserveProgress&)>& progress) {
    const double now = monotonic_seconds();
    const int64_t done = sums_.bytes_done - start_bytes_;
    const double rate = static_cast<double>(done) / std::max(now - start_s_, 1e-9);
    const double eta =
        done ? static_cast<double>(calibration_.bytes() - sums_.bytes_done) / rate : 0;
    const bool go = progress({sums_.bytes_done, calibration_.bytes(), sums_.tokens, eta});
    if (!go || now - last_save_s_ >= options_.save_every_s) save();
    return go;
  }

  const ObserveOptions& options_;
  CalibrationFile calibration_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  Observation sums_;
  double start_s_ = 0, last_save_s_ = 0;
  int64_t start_bytes_ = 0;
};

}  // namespace

Observation observe(const ObserveOptions& options,
                    const std::function<bool(const ObserveProgress&)>& progress) {
  return Observing(options).run(progress);
}

}  // namespace ds4::reap

// Text in and out of the engine: tokenizer, streaming decoder, chat rendering, completion parsing.
// Part of the engine's public interface; knows no weights.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/chat.h"

namespace ds4 {

using TokenId = int32_t;

/// Whether literals of added tokens (`<｜User｜>`, ...) in a text become those tokens. Text from
/// strangers is encoded with kPlain (model.md 6.1, last paragraph).
enum class AddedTokens { kParse, kPlain };

/// Byte-level BPE of tokenizer.json (model.md 6.1). Immutable; safe for concurrent use.
class Tokenizer {
 public:
  /// `path`: a tokenizer.json, or a checkpoint (folder or name) with one. Throws
  /// Error(kCheckpoint).
  static std::shared_ptr<const Tokenizer> load(const std::filesystem::path& path);
  virtual ~Tokenizer() = default;

  /// Never adds BOS. Bytes that are not UTF-8 are encoded one by one. Throws Error(kCheckpoint)
  /// when the vocabulary lacks a byte of the text; vocabularies with all 256 bytes take any text.
  virtual std::vector<TokenId> encode(std::string_view text, AddedTokens added) const = 0;
  /// The bytes of a token; added tokens verbatim, unknown ids give an empty string.
  virtual std::string token_bytes(TokenId id) const = 0;
  /// Concatenated bytes; may end inside a UTF-8 sequence (see StreamDecoder).
  virtual std::string decode(std::span<const TokenId> ids) const = 0;
  /// Id of an added or base token by its exact text, or -1. Base tokens are spelled as in the file,
  /// in stand-in characters (a blank is `Ġ`).
  virtual TokenId id_of(std::string_view token) const = 0;
  virtual int64_t vocab_size() const = 0;  // largest id + 1
  TokenId bos() const { return id_of("<｜begin▁of▁sentence｜>"); }
  TokenId eos() const { return id_of("<｜end▁of▁sentence｜>"); }
};

/// Turns a token stream into text, holding back an incomplete UTF-8 tail.
class StreamDecoder {
 public:
  explicit StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer)
      : tokenizer_(std::move(tokenizer)) {}
  /// Text that became complete with this token (may be empty).
  std::string push(TokenId id);
  /// What is left; an incomplete sequence is replaced by U+FFFD.
  std::string finish();

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::string pending_;
};

/// Looks for stop strings in a text that arrives in pieces, wherever the pieces are cut, in time
/// linear in the text. What could still become a stop string is held back, so that no part of one
/// is ever let out. The first to be complete, byte by byte, ends the text; of several that end at
/// the same byte the longest.
class StopStrings {
 public:
  /// Throws Error(kUsage) for an empty stop string. Without any, everything passes at once.
  explicit StopStrings(const std::vector<std::string>& stops);
  /// The text that is free to go now: what came before the stop string once there is one, nothing
  /// after that.
  std::string push(std::string_view text);
  bool stopped() const { return stopped_; }
  /// What was held back, at the end of the text; nothing after a stop string.
  std::string finish();

 private:
  struct Automaton {
    std::string stop;
    std::vector<size_t> shorter;  // [i]: longest proper prefix of stop that ends stop[0..i]
    size_t length = 0;            // bytes of stop matched by the end of the text
  };
  std::vector<Automaton> automata_;
  std::string pending_;
  bool stopped_ = false;
};

/// Which texts the reasoning-effort levels stand for (model.md 6.4).
enum class Release { kApril, k0731 };

/// The release whose texts a checkpoint folder was made for, told from its
/// encoding/encoding_dsv4.py (read, never run); nothing if it ships none.
std::optional<Release> release_of_checkpoint(const std::filesystem::path& folder);

/// The prompt string of a conversation (model.md 6.2-6.5), special tokens as text.
/// With `has_context_prefix` neither BOS nor the effort text is written: they precede the context.
/// Throws Error(kUsage) for messages the model has no rendering for.
std::string render_prompt(const Conversation& conversation, Release release = Release::kApril);

enum class ParseMode {
  kStrict,    // as the reference: throws Error(kUsage) on any deviation
  kTolerant,  // as a server should: never throws
};

/// Takes a completion apart. `text` is the raw completion; with or without the final EOS text
/// (kStrict demands it). `thinking` tells whether the prompt ended in `<think>`; in kTolerant a
/// completion that opens with `<think>` itself counts as thinking too. Calls come without ids.
ParsedCompletion parse_completion(std::string_view text, ThinkingMode thinking, ParseMode mode);

/// Splits a streamed completion into reasoning, content and tool-call text as it arrives, holding
/// back any suffix that could begin `</think>` or a tool block (model.md 6.6, last lines).
class StreamParser {
 public:
  struct Delta {
    std::string reasoning;
    std::string content;
  };
  explicit StreamParser(ThinkingMode thinking);
  ~StreamParser();
  StreamParser(StreamParser&&) noexcept;
  Delta push(std::string_view text);
  /// Releases what was held back; the tool calls of the whole completion are in `completion`.
  Delta finish(ParsedCompletion& completion);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ds4

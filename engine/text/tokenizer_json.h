// Reads and checks tokenizer.json: what comes out is plain data that the other parts can rely on.
// Knows the file format, not how to tokenize.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/api/text.h"
#include "engine/text/bpe.h"
#include "engine/text/pretokenizer.h"

namespace ds4::text {

/// Larger ids are refused: tables are indexed by id, and real vocabularies end far below.
inline constexpr TokenId kMaxTokenId = (1 << 22) - 1;

struct NamedToken {
  std::string text;
  TokenId id;
};

struct TokenizerSpec {
  std::string source;             // the file, for error messages
  std::vector<NamedToken> base;   // model.vocab, in stand-in characters; distinct texts and ids
  std::vector<NamedToken> added;  // added_tokens; may repeat entries of `base`, never contradict
  std::vector<Merge> merges;      // in rank order, distinct pairs
  std::vector<SplitRule> splits;  // in order of application
};

/// Parses the text of a tokenizer.json. `source` names it in errors. Everything that the format
/// offers and this tokenizer does not do (normalisers, prefix spaces, ...) is an error, never
/// ignored. Throws Error(kCheckpoint) naming the key.
TokenizerSpec parse_tokenizer_json(std::string_view json, const std::string& source);

}  // namespace ds4::text

// The Tokenizer of engine/api/text.h: added tokens, then pre-tokenizer, then merges, and back.
#include <unordered_map>

#include "engine/api/text.h"
#include "engine/base/error.h"
#include "engine/base/files.h"
#include "engine/text/added_tokens.h"
#include "engine/text/bpe.h"
#include "engine/text/byte_map.h"
#include "engine/text/pretokenizer.h"
#include "engine/text/synthetic_tokenizer.h"
#include "engine/text/tokenizer_json.h"
#include "engine/weights/source.h"

namespace ds4 {
namespace text {
namespace {

constexpr int64_t kMaxFileBytes = int64_t{1} << 28;

std::array<TokenId, 256> byte_ids(const TokenizerSpec& spec) {
  std::array<TokenId, 256> ids;
  ids.fill(-1);
  for (const NamedToken& token : spec.base) {
    if (token.text.size() > 2) continue;  // stand-ins take one or two bytes
    const auto bytes = bytes_of_symbols(token.text);
    if (bytes && bytes->size() == 1) ids[static_cast<uint8_t>((*bytes)[0])] = token.id;
  }
  return ids;
}

class ByteLevelBpe final : public Tokenizer {
 public:
  explicit ByteLevelBpe(const TokenizerSpec& spec)
      : source_(spec.source),
        pretokenizer_(spec.splits, spec.source),
        merger_(spec.merges, byte_ids(spec)) {
    by_text_.reserve(spec.base.size() + spec.added.size());
    for (const NamedToken& token : spec.base) {
      set(token, bytes_of_symbols(token.text).value_or(token.text));
    }
    for (const NamedToken& token : spec.added) {
      set(token, token.text);
      added_.add(token.text, token.id);
    }
  }

  std::vector<TokenId> encode(std::string_view text, AddedTokens added) const override {
    std::vector<TokenId> ids;
    ids.reserve(text.size() / 3 + 1);
    Workspace workspace;
    if (added == AddedTokens::kPlain) {
      encode_plain(text, ids, workspace);
      return ids;
    }
    for (size_t at = 0; at < text.size();) {
      const auto match = added_.find(text, at);
      encode_plain(text.substr(at, match.begin - at), ids, workspace);
      if (match.length > 0) ids.push_back(match.id);
      at = match.begin + match.length;
    }
    return ids;
  }

  std::string token_bytes(TokenId id) const override {
    const bool known = id >= 0 && id < vocab_size();
    return known ? bytes_[static_cast<size_t>(id)] : std::string();
  }

  std::string decode(std::span<const TokenId> ids) const override {
    std::string out;
    for (const TokenId id : ids) {
      if (id >= 0 && id < vocab_size()) out += bytes_[static_cast<size_t>(id)];
    }
    return out;
  }

  TokenId id_of(std::string_view token) const override {
    const auto found = by_text_.find(token);
    return found == by_text_.end() ? -1 : found->second;
  }

  int64_t vocab_size() const override { return static_cast<int64_t>(bytes_.size()); }

 private:
  struct Workspace {
    std::vector<std::string_view> pieces;
    BpeMerger::Scratch merging;
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  void set(const NamedToken& token, std::string bytes) {
    const auto at = static_cast<size_t>(token.id);
    if (at >= bytes_.size()) bytes_.resize(at + 1);
    bytes_[at] = std::move(bytes);
    by_text_.insert_or_assign(token.text, token.id);
  }

  void encode_plain(std::string_view text, std::vector<TokenId>& ids, Workspace& workspace) const {
    if (text.empty()) return;
    workspace.pieces.clear();
    pretokenizer_.split(text, workspace.pieces);
    for (const std::string_view piece : workspace.pieces) {
      const int missing = merger_.encode(piece, ids, workspace.merging);
      if (missing >= 0) {
        throw Error(ErrorCode::kCheckpoint,
                    source_ + ": `model.vocab` has no token for byte " + std::to_string(missing) +
                        ", which the text contains",
                    "Use a tokenizer.json with all 256 byte tokens, or other text.");
      }
    }
  }

  std::string source_;
  Pretokenizer pretokenizer_;
  BpeMerger merger_;
  AddedTokenMatcher added_;
  std::vector<std::string> bytes_;  // by id; empty where no token has the id
  std::unordered_map<std::string, TokenId, Hash, std::equal_to<>> by_text_;
};

}  // namespace
}  // namespace text

std::shared_ptr<const Tokenizer> Tokenizer::load(const std::filesystem::path& path) {
  const weights::Source source = weights::resolve_source(path);
  if (source.synthetic) {
    return std::make_shared<text::ByteLevelBpe>(
        text::parse_tokenizer_json(text::synthetic_tokenizer_json(), path.string()));
  }
  std::error_code ignored;
  const bool is_folder = std::filesystem::is_directory(source.directory, ignored);
  const auto file = is_folder ? source.directory / "tokenizer.json" : source.directory;
  std::string json;
  try {
    json = read_file(file, text::kMaxFileBytes);
  } catch (const Error& problem) {
    throw Error(ErrorCode::kCheckpoint, problem.what(),
                "Name a checkpoint folder that holds a tokenizer.json, or the file itself.");
  }
  return std::make_shared<text::ByteLevelBpe>(text::parse_tokenizer_json(json, file.string()));
}

}  // namespace ds4

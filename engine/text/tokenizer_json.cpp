#include "engine/text/tokenizer_json.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "engine/base/error.h"
#include "engine/base/utf8.h"

namespace ds4::text {
namespace {

using Json = nlohmann::json;

class Reader {
 public:
  explicit Reader(std::string source) { spec_.source = std::move(source); }

  TokenizerSpec read(std::string_view text) {
    Json& root = root_;
    try {
      root = Json::parse(text);
    } catch (const Json::exception& problem) {
      // The message quotes what was read last, which may be most of the file.
      fail("not valid JSON: " + sanitize_utf8(std::string_view(problem.what()).substr(0, 200)),
           "The file is damaged or incomplete; copy it again from the checkpoint.");
    }
    if (!root.is_object()) fail("not a JSON object", kUseOriginal);
    read_model(root);
    read_added_tokens(root);
    read_normalizer(root);
    read_pre_tokenizer(member(root, "pre_tokenizer", ""), "pre_tokenizer");
    if (!byte_level_) {
      fail_at("pre_tokenizer", "has no ByteLevel stage; only byte-level BPE is supported");
    }
    read_decoder(root);
    return std::move(spec_);
  }

 private:
  static constexpr const char* kUseOriginal =
      "Use the tokenizer.json that belongs to the checkpoint, unchanged.";

  [[noreturn]] void fail(const std::string& problem, const std::string& hint) const {
    throw Error(ErrorCode::kCheckpoint, spec_.source + ": " + problem, hint);
  }
  [[noreturn]] void fail_at(const std::string& key, const std::string& problem) const {
    fail("`" + key + "` " + problem, kUseOriginal);
  }

  const Json& member(const Json& object, const std::string& name, const std::string& path) const {
    const auto found = object.find(name);
    if (found == object.end()) fail_at(path + name, "is missing");
    return *found;
  }

  const Json& array(const Json& object, const std::string& name, const std::string& path) const {
    const Json& value = member(object, name, path);
    if (!value.is_array()) fail_at(path + name, wrong_type(value, "an array"));
    return value;
  }

  const std::string& string(const Json& value, const std::string& key) const {
    if (!value.is_string()) fail_at(key, wrong_type(value, "a string"));
    return value.get_ref<const std::string&>();
  }

  static std::string wrong_type(const Json& value, const std::string& wanted) {
    return std::string("is of type ") + value.type_name() + "; it must be " + wanted;
  }

  // Absent, null, false and "" all mean that an option is off.
  static bool is_off(const Json& object, const char* name) {
    const auto found = object.find(name);
    if (found == object.end() || found->is_null()) return true;
    return (found->is_boolean() && !found->get<bool>()) ||
           (found->is_string() && found->get_ref<const std::string&>().empty());
  }

  void refuse_options(const Json& object, const std::string& path,
                      std::initializer_list<const char*> names) const {
    for (const char* name : names) {
      if (!is_off(object, name)) {
        fail_at(path + name, "is " + object.find(name)->dump() + "; this option is not supported");
      }
    }
  }

  // Nothing if the value is no usable id; refuse_id says why. Apart, so that the names of 128,000
  // keys need not be built.
  static std::optional<TokenId> token_id(const Json& value) {
    if (!value.is_number_integer()) return std::nullopt;
    const auto id = value.get<int64_t>();  // beyond int64 it turns negative
    if (id < 0 || id > kMaxTokenId) return std::nullopt;
    return static_cast<TokenId>(id);
  }

  [[noreturn]] void refuse_id(const Json& value, const std::string& key) const {
    if (!value.is_number_integer()) fail_at(key, wrong_type(value, "an integer"));
    fail_at(key, "is " + value.dump() + "; token ids lie in 0.." + std::to_string(kMaxTokenId));
  }

  // Long texts and control characters stay out of messages.
  static std::string shown(std::string_view text) {
    const Json quoted =
        text.size() <= 60 ? std::string(text) : std::string(text.substr(0, 57)) + "...";
    return quoted.dump(-1, ' ', false, Json::error_handler_t::replace);
  }

  void read_model(const Json& root) {
    const Json& model = member(root, "model", "");
    if (!model.is_object()) fail_at("model", wrong_type(model, "an object"));
    if (const auto type = model.find("type"); type != model.end() && *type != "BPE") {
      fail_at("model.type", "is " + type->dump() + "; only \"BPE\" is supported");
    }
    refuse_options(model, "model.",
                   {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                    "byte_fallback", "ignore_merges"});

    const Json& vocab = member(model, "vocab", "model.");
    if (!vocab.is_object()) fail_at("model.vocab", wrong_type(vocab, "an object"));
    if (vocab.empty()) fail_at("model.vocab", "is empty");
    spec_.base.reserve(vocab.size());
    by_text_.reserve(vocab.size());
    by_id_.reserve(vocab.size());
    for (auto entry = vocab.begin(); entry != vocab.end(); ++entry) {
      const std::string& text = entry.key();
      const auto key = [&] { return "model.vocab." + shown(text); };
      if (text.empty()) fail_at(key(), "is an empty token");
      const auto id = token_id(*entry);
      if (!id) refuse_id(*entry, key());
      const auto [owner, is_new] = by_id_.emplace(*id, text);
      if (!is_new) {
        fail_at(key(),
                "has id " + std::to_string(*id) + ", which " + shown(owner->second) + " has too");
      }
      by_text_.emplace(text, *id);
      spec_.base.push_back({text, *id});
    }

    const Json& merges = array(model, "merges", "model.");
    spec_.merges.reserve(merges.size());
    std::unordered_set<uint64_t> seen;
    seen.reserve(merges.size());
    for (size_t i = 0; i < merges.size(); ++i) {
      const std::string key = "model.merges[" + std::to_string(i) + "]";
      const auto [left, right] = merge_pair(merges[i], key);
      const Merge merge{known(left, key), known(right, key), known(left + right, key)};
      const uint64_t pair =
          uint64_t{static_cast<uint32_t>(merge.left)} << 32 | static_cast<uint32_t>(merge.right);
      if (!seen.insert(pair).second) fail_at(key, "repeats the pair " + shown(left + " " + right));
      spec_.merges.push_back(merge);
    }
  }

  // "a b" in older files, ["a", "b"] in newer ones.
  std::pair<std::string, std::string> merge_pair(const Json& merge, const std::string& key) const {
    if (merge.is_array() && merge.size() == 2) {
      return {string(merge[0], key), string(merge[1], key)};
    }
    if (merge.is_string()) {
      const auto& text = merge.get_ref<const std::string&>();
      const size_t space = text.find(' ');
      if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
        return {text.substr(0, space), text.substr(space + 1)};
      }
    }
    fail_at(key, "must be \"left right\" or [\"left\", \"right\"]");
  }

  TokenId known(std::string_view text, const std::string& key) const {
    const auto found = by_text_.find(text);
    if (found == by_text_.end()) fail_at(key, "names " + shown(text) + ", which model.vocab lacks");
    return found->second;
  }

  void read_added_tokens(const Json& root) {
    const auto found = root.find("added_tokens");
    if (found == root.end() || found->is_null()) return;
    if (!found->is_array()) fail_at("added_tokens", wrong_type(*found, "an array"));
    std::unordered_set<std::string_view> seen;
    for (size_t i = 0; i < found->size(); ++i) {
      const std::string path = "added_tokens[" + std::to_string(i) + "].";
      const Json& token = (*found)[i];
      if (!token.is_object())
        fail_at(path.substr(0, path.size() - 1), wrong_type(token, "an object"));
      const std::string& text = string(member(token, "content", path), path + "content");
      const Json& number = member(token, "id", path);
      if (!token_id(number)) refuse_id(number, path + "id");
      const TokenId id = *token_id(number);
      if (text.empty()) fail_at(path + "content", "is empty");
      refuse_options(token, path, {"single_word", "lstrip", "rstrip"});
      if (!seen.insert(text).second) fail_at(path + "content", "repeats " + shown(text));
      if (const auto base = by_text_.find(text); base != by_text_.end() && base->second != id) {
        fail_at(path + "id", "is " + std::to_string(id) + ", but model.vocab gives " + shown(text) +
                                 " the id " + std::to_string(base->second));
      }
      const auto [owner, is_new] = by_id_.emplace(id, text);
      if (!is_new && owner->second != text) {
        fail_at(path + "id",
                "is " + std::to_string(id) + ", which " + shown(owner->second) + " has too");
      }
      spec_.added.push_back({text, id});
    }
  }

  void read_normalizer(const Json& root) const {
    const auto found = root.find("normalizer");
    if (found == root.end() || found->is_null()) return;
    const bool is_empty_sequence = found->is_object() &&
                                   found->value("type", Json()) == "Sequence" &&
                                   found->value("normalizers", Json()) == Json::array();
    if (!is_empty_sequence) fail_at("normalizer", "must be null or an empty Sequence");
  }

  void read_pre_tokenizer(const Json& node, const std::string& path, int depth = 0) {
    if (!node.is_object()) fail_at(path, wrong_type(node, "an object"));
    if (depth > 8) fail_at(path, "is nested too deeply");
    const std::string type = string(member(node, "type", path + "."), path + ".type");
    if (byte_level_) fail_at(path, "follows ByteLevel, which must come last");
    if (type == "Sequence") {
      const Json& stages = array(node, "pretokenizers", path + ".");
      for (size_t i = 0; i < stages.size(); ++i) {
        read_pre_tokenizer(stages[i], path + ".pretokenizers[" + std::to_string(i) + "]",
                           depth + 1);
      }
    } else if (type == "Split") {
      read_split(node, path + ".");
    } else if (type == "ByteLevel") {
      refuse_options(node, path + ".", {"add_prefix_space"});
      // The format's default is true: then the stage would split by a pattern of its own.
      if (node.value("use_regex", Json()) != Json(false)) {
        fail_at(path + ".use_regex", "must be false; the splits come from Split stages");
      }
      byte_level_ = true;
    } else {
      fail_at(path + ".type", "is " + shown(type) + "; known are Sequence, Split and ByteLevel");
    }
  }

  void read_split(const Json& node, const std::string& path) {
    const std::string behavior = string(member(node, "behavior", path), path + "behavior");
    if (behavior != "Isolated") {
      fail_at(path + "behavior", "is " + shown(behavior) + "; only \"Isolated\" is supported");
    }
    refuse_options(node, path, {"invert"});
    const Json& pattern = member(node, "pattern", path);
    if (!pattern.is_object() || pattern.size() != 1) {
      fail_at(path + "pattern", "must be an object with one member, `Regex` or `String`");
    }
    const std::string kind = pattern.begin().key();
    if (kind != "Regex" && kind != "String") {
      fail_at(path + "pattern." + kind, "is unknown; use `Regex` or `String`");
    }
    const std::string key = path + "pattern." + kind;
    spec_.splits.push_back({string(*pattern.begin(), key), kind == "String", key});
  }

  void read_decoder(const Json& root) const {
    const auto found = root.find("decoder");
    if (found == root.end() || found->is_null()) return;
    if (!found->is_object() || found->value("type", Json()) != "ByteLevel") {
      fail_at("decoder", "must be null or of type ByteLevel");
    }
  }

  TokenizerSpec spec_;
  Json root_;  // holds the texts that the two maps refer to
  std::unordered_map<std::string_view, TokenId> by_text_;  // model.vocab only
  std::unordered_map<TokenId, std::string_view> by_id_;    // model.vocab and added_tokens
  bool byte_level_ = false;
};

}  // namespace

TokenizerSpec parse_tokenizer_json(std::string_view json, const std::string& source) {
  return Reader(source).read(json);
}

}  // namespace ds4::text

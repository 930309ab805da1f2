#include "engine/text/tokenizer_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "tests/unit/text/fixtures.h"

namespace ds4::text {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;
using testing_support::small_tokenizer_json;

// Loading `json` must fail with a message that names the file and `key`, and with a remedy.
void expect_refused(const std::string& json, const std::string& key) {
  const testing_support::TemporaryFolder folder;
  const auto file = folder.path() / "tokenizer.json";
  write_file_atomic(file, json);
  try {
    Tokenizer::load(folder.path());
    ADD_FAILURE() << "accepted, although " << key;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCheckpoint) << key;
    EXPECT_THAT(error.what(), HasSubstr(file.string()));
    EXPECT_THAT(error.what(), HasSubstr(key));
    EXPECT_FALSE(error.hint().empty()) << key;
    EXPECT_LT(std::string(error.what()).size(), 600u);
  }
}

void expect_refused_with(const std::string& pointer, const Json& value, const std::string& key) {
  Json json = Json::parse(small_tokenizer_json());
  json[Json::json_pointer(pointer)] = value;
  SCOPED_TRACE(pointer + " = " + value.dump().substr(0, 80));
  expect_refused(json.dump(), key);
}

TEST(TokenizerJson, ReadsBothFormsOfMerges) {
  Json json = Json::parse(small_tokenizer_json());
  const auto strings = parse_tokenizer_json(json.dump(), "a");
  for (Json& merge : json["model"]["merges"]) {
    const std::string text = merge;
    const size_t space = text.find(' ');
    merge = Json::array({text.substr(0, space), text.substr(space + 1)});
  }
  const auto pairs = parse_tokenizer_json(json.dump(), "a");
  ASSERT_EQ(strings.merges.size(), pairs.merges.size());
  for (size_t i = 0; i < pairs.merges.size(); ++i) {
    EXPECT_EQ(strings.merges[i].left, pairs.merges[i].left);
    EXPECT_EQ(strings.merges[i].right, pairs.merges[i].right);
    EXPECT_EQ(strings.merges[i].result, pairs.merges[i].result);
  }
}

TEST(TokenizerJson, RefusesWhatIsNoJson) {
  expect_refused("", "not valid JSON");
  expect_refused("[]", "not a JSON object");
  expect_refused("{\"model\": \"" + std::string(100000, 'x'), "not valid JSON");
  expect_refused(std::string(200000, '['), "not valid JSON");
  expect_refused("{\"model\": {\"vocab\": {\"\xFF\": 1}}}", "not valid JSON");
}

TEST(TokenizerJson, RefusesEveryTruncation) {
  const std::string json = small_tokenizer_json();
  for (size_t n = 0; n < json.size(); n += 97) {
    EXPECT_THROW(parse_tokenizer_json(json.substr(0, n), "t"), Error) << n;
  }
}

TEST(TokenizerJson, NamesMissingKeys) {
  for (const auto& [pointer, key] : std::vector<std::pair<std::string, std::string>>{
           {"/model", "`model`"},
           {"/pre_tokenizer", "`pre_tokenizer`"},
           {"/model/vocab", "`model.vocab`"},
           {"/model/merges", "`model.merges`"},
           {"/added_tokens/0/id", "`added_tokens[0].id`"},
           {"/added_tokens/1/content", "`added_tokens[1].content`"},
           {"/pre_tokenizer/type", "`pre_tokenizer.type`"},
           {"/pre_tokenizer/pretokenizers", "`pre_tokenizer.pretokenizers`"},
           {"/pre_tokenizer/pretokenizers/0/pattern", "`pre_tokenizer.pretokenizers[0].pattern`"},
           {"/pre_tokenizer/pretokenizers/0/behavior", "`pre_tokenizer.pretokenizers[0].behavior`"},
           {"/pre_tokenizer/pretokenizers/2/use_regex", "use_regex"}}) {
    Json json = Json::parse(small_tokenizer_json());
    const Json::json_pointer at(pointer);
    json[at.parent_pointer()].erase(at.back());
    expect_refused(json.dump(), key);
  }
}

TEST(TokenizerJson, NamesWrongTypesAndValues) {
  expect_refused_with("/model", "BPE", "`model`");
  expect_refused_with("/model/type", "Unigram", "`model.type`");
  expect_refused_with("/model/vocab", Json::array(), "`model.vocab`");
  expect_refused_with("/model/vocab", Json::object(), "`model.vocab`");
  expect_refused_with("/model/merges", Json::object(), "`model.merges`");
  expect_refused_with("/model/merges/3", 7, "`model.merges[3]`");
  expect_refused_with("/model/merges/3", "ab", "`model.merges[3]`");
  expect_refused_with("/model/merges/3", "a b c", "`model.merges[3]`");
  expect_refused_with("/model/merges/3", Json::array({"a"}), "`model.merges[3]`");
  expect_refused_with("/model/merges/3", Json::array({"a", 1}), "`model.merges[3]`");
  expect_refused_with("/model/merges/3", "q nowhere", "`model.merges[3]`");
  expect_refused_with("/model/merges/3", "q z", "qz");  // the merged token is missing
  expect_refused_with("/model/merges/3", "l l", "`model.merges[3]`");  // listed twice
  expect_refused_with("/added_tokens", "none", "`added_tokens`");
  expect_refused_with("/added_tokens/2", 5, "`added_tokens[2]`");
  expect_refused_with("/added_tokens/2/content", 5, "`added_tokens[2].content`");
  expect_refused_with("/added_tokens/2/content", "", "`added_tokens[2].content`");
  expect_refused_with("/normalizer", {{"type", "NFC"}}, "`normalizer`");
  expect_refused_with("/decoder", {{"type", "WordPiece"}}, "`decoder`");
  expect_refused_with("/pre_tokenizer", nullptr, "`pre_tokenizer`");
  expect_refused_with("/pre_tokenizer", {{"type", "Whitespace"}}, "`pre_tokenizer.type`");
  expect_refused_with("/pre_tokenizer/pretokenizers", Json::array(), "ByteLevel");
}

TEST(TokenizerJson, NamesBadIds) {
  const std::string key = "`model.vocab.\"a\"`";
  for (const Json& id :
       {Json(-1), Json(1.5), Json("1"), Json(nullptr), Json(4194304),
        Json(uint64_t{18446744073709551615u}), Json(int64_t{-9223372036854775807})}) {
    expect_refused_with("/model/vocab/a", id, key);
    expect_refused_with("/added_tokens/0/id", id, "`added_tokens[0].id`");
  }
  // Two tokens with one id.
  expect_refused_with("/model/vocab/a", int{'b'}, "has too");
  expect_refused_with("/added_tokens/0/id", int{'b'}, "`added_tokens[0].id`");
  expect_refused_with("/added_tokens/0/content", "<think>", "repeats");
  expect_refused_with("/added_tokens/0/content", "a", "`added_tokens[0].id`");
}

TEST(TokenizerJson, NamesBadPatterns) {
  const std::string stage = "/pre_tokenizer/pretokenizers/0/";
  const std::string key = "`pre_tokenizer.pretokenizers[0].";
  expect_refused_with(stage + "pattern", {{"Regex", "[a"}}, key + "pattern.Regex`");
  expect_refused_with(stage + "pattern", {{"Regex", 3}}, key + "pattern.Regex`");
  expect_refused_with(stage + "pattern", {{"Glob", "*"}}, key + "pattern.Glob`");
  expect_refused_with(stage + "pattern", "x", key + "pattern`");
  expect_refused_with(stage + "behavior", "Removed", key + "behavior`");
  expect_refused_with(stage + "invert", true, key + "invert`");
  const std::string byte_level = "/pre_tokenizer/pretokenizers/2/";
  expect_refused_with(byte_level + "add_prefix_space", true, "add_prefix_space`");
  expect_refused_with(byte_level + "use_regex", true, "use_regex`");
}

TEST(TokenizerJson, RefusesOptionsItWouldHaveToIgnore) {
  expect_refused_with("/model/dropout", 0.1, "`model.dropout`");
  expect_refused_with("/model/unk_token", "<unk>", "`model.unk_token`");
  expect_refused_with("/model/byte_fallback", true, "`model.byte_fallback`");
  expect_refused_with("/model/ignore_merges", true, "`model.ignore_merges`");
  expect_refused_with("/model/end_of_word_suffix", "</w>", "`model.end_of_word_suffix`");
  for (const char* option : {"single_word", "lstrip", "rstrip"}) {
    expect_refused_with(std::string("/added_tokens/4/") + option, true,
                        std::string("`added_tokens[4].") + option);
  }
}

TEST(TokenizerJson, NestingIsNoDanger) {
  Json stage = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  for (int i = 0; i < 200; ++i) {
    stage = {{"type", "Sequence"}, {"pretokenizers", Json::array({stage})}};
  }
  expect_refused_with("/pre_tokenizer", stage, "nested too deeply");
}

TEST(TokenizerJson, RandomDamageNeverCrashes) {
  std::mt19937 rng(11);
  const std::string json = small_tokenizer_json();
  for (int i = 0; i < 300; ++i) {
    std::string damaged = json;
    for (uint32_t n = 1 + rng() % 4; n > 0; --n) {
      const size_t at = rng() % damaged.size();
      switch (rng() % 3) {
        case 0:
          damaged[at] = static_cast<char>(rng());
          break;
        case 1:
          damaged.erase(at, 1 + rng() % 20);
          break;
        default:
          damaged.insert(at, 1, "{}[]\",:0-\\"[rng() % 10]);
      }
    }
    try {
      parse_tokenizer_json(damaged, "t");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCheckpoint);
    }
  }
}

TEST(TokenizerJson, MissingFileNamesItself) {
  const testing_support::TemporaryFolder folder;
  for (const auto& path : {folder.path(), folder.path() / "tokenizer.json"}) {
    try {
      Tokenizer::load(path);
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCheckpoint);
      EXPECT_THAT(error.what(), HasSubstr("tokenizer.json"));
      EXPECT_FALSE(error.hint().empty());
    }
  }
}

}  // namespace
}  // namespace ds4::text

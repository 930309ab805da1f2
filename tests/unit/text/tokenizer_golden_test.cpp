// The real vocabulary against recorded token ids; skipped where the shared data is not at hand.
#include <gtest/gtest.h>

#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/api/text.h"
#include "engine/base/files.h"
#include "tests/unit/text/fixtures.h"

namespace ds4::text {
namespace {

using testing_support::shared_path;

constexpr const char* kTokenizer = "data/tokenizer/tokenizer.json";

#define DS4_REQUIRE_SHARED(variable, relative) \
  const auto variable = shared_path(relative); \
  if (!variable) GTEST_SKIP() << relative << " is not under $DS4_SHARED or ../shared"

// The file at hand is the V3 one; V4 has further control tokens.
std::shared_ptr<const Tokenizer> load_with_v4_tokens(const std::filesystem::path& file) {
  auto json = nlohmann::json::parse(read_file(file));
  const std::vector<std::pair<int, const char*>> v4_tokens = {
      {128821, "<think>"}, {128822, "</think>"}, {128825, "｜DSML｜"}};
  for (const auto& [id, content] : v4_tokens) {
    json["added_tokens"].push_back({{"id", id}, {"content", content}, {"special", false}});
  }
  return testing_support::load_text(json.dump());
}

TEST(RealTokenizer, EqualsTheModelsVectors) {
  DS4_REQUIRE_SHARED(file, kTokenizer);
  const auto tokenizer = load_with_v4_tokens(*file);
  const auto vectors = testing_support::read_encode_vectors(
      testing_support::source_path("tests/golden/text/model_vectors.jsonl"));
  ASSERT_EQ(vectors.size(), 24u);
  for (const auto& vector : vectors) {
    EXPECT_EQ(tokenizer->encode(vector.text, AddedTokens::kParse), vector.ids) << vector.text;
    EXPECT_EQ(tokenizer->decode(vector.ids), vector.text);
  }
  EXPECT_EQ(tokenizer->bos(), 0);
  EXPECT_EQ(tokenizer->eos(), 1);
  EXPECT_EQ(tokenizer->id_of("<｜▁pad▁｜>"), 2);
  EXPECT_EQ(tokenizer->id_of("<｜User｜>"), 128803);
  EXPECT_EQ(tokenizer->id_of("<｜Assistant｜>"), 128804);
  EXPECT_EQ(tokenizer->vocab_size(), 128826);
}

TEST(RealTokenizer, EqualsTheRecordedEncodings) {
  DS4_REQUIRE_SHARED(file, kTokenizer);
  DS4_REQUIRE_SHARED(recorded, "data/tokenizer/golden_encode.jsonl");
  const auto tokenizer = Tokenizer::load(*file);
  const auto vectors = testing_support::read_encode_vectors(*recorded);
  ASSERT_EQ(vectors.size(), 68u);
  for (const auto& vector : vectors) {
    EXPECT_EQ(tokenizer->encode(vector.text, AddedTokens::kParse), vector.ids) << vector.text;
    EXPECT_EQ(tokenizer->decode(vector.ids), vector.text);
  }
}

TEST(RealTokenizer, RoundTripsGsm8k) {
  DS4_REQUIRE_SHARED(file, kTokenizer);
  DS4_REQUIRE_SHARED(problems, "data/gsm8k/test.jsonl");
  const auto tokenizer = Tokenizer::load(*file);
  std::ifstream in(*problems);
  size_t n_texts = 0;
  size_t n_tokens = 0;
  for (std::string line; std::getline(in, line);) {
    const auto row = nlohmann::json::parse(line);
    const std::string text =
        row.at("question").get<std::string>() + row.at("answer").get<std::string>();
    const auto ids = tokenizer->encode(text, AddedTokens::kParse);
    ASSERT_EQ(tokenizer->decode(ids), text);
    ++n_texts;
    n_tokens += ids.size();
  }
  EXPECT_EQ(n_texts, 1319u);
  EXPECT_EQ(n_tokens, 213412u);  // stated with the recorded encodings
}

// Not a speed test: only processor time that quadratic work could not keep.
TEST(RealTokenizer, TakesAMegabyteOfAnything) {
  DS4_REQUIRE_SHARED(file, kTokenizer);
  const auto tokenizer = Tokenizer::load(*file);
  for (const char* unit : {"a", " ", "\n", "=", "ab", "<", "<｜", "漢", "\xFF", "the cat sat. "}) {
    std::string text;
    while (text.size() < (1 << 20)) text += unit;
    const std::clock_t begin = std::clock();
    const auto ids = tokenizer->encode(text, AddedTokens::kParse);
    EXPECT_LT((std::clock() - begin) / CLOCKS_PER_SEC, 120) << unit;
    EXPECT_EQ(tokenizer->decode(ids), text);
  }
}

}  // namespace
}  // namespace ds4::text

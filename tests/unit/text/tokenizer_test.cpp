#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "engine/api/text.h"
#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "tests/unit/text/fixtures.h"

namespace ds4::text {
namespace {

using testing::ElementsAre;
using testing_support::load_text;
using testing_support::small_tokenizer_json;

class SmallTokenizer : public testing::Test {
 protected:
  TokenId id(const char* text) const { return tokenizer_->id_of(text); }
  std::vector<TokenId> parse(std::string_view text) const {
    return tokenizer_->encode(text, AddedTokens::kParse);
  }
  std::vector<TokenId> plain(std::string_view text) const {
    return tokenizer_->encode(text, AddedTokens::kPlain);
  }
  std::shared_ptr<const Tokenizer> tokenizer_ = load_text(small_tokenizer_json());
};

TEST_F(SmallTokenizer, MergesByRank) {
  EXPECT_THAT(parse("hello world"), ElementsAre(id("hello"), id("Ġworld")));
  EXPECT_THAT(parse("12345"), ElementsAre(id("123"), '4', '5'));
  EXPECT_THAT(parse("aaaaaaa"), ElementsAre(id("aaaa"), id("aa"), 'a'));
  EXPECT_THAT(parse(""), ElementsAre());
}

TEST_F(SmallTokenizer, WholeWordsTakeNoShortcut) {
  ASSERT_GE(id("low"), 0);
  EXPECT_THAT(parse("low"), ElementsAre('l', 'o', 'w'));
}

TEST_F(SmallTokenizer, AddedTokensComeFirstUnlessPlain) {
  EXPECT_THAT(parse("<｜User｜>hello<a b>"),
              ElementsAre(id("<｜User｜>"), id("hello"), id("<a b>")));
  EXPECT_THAT(parse("<a bc"), ElementsAre(id("<a"), ' ', 'b', 'c'));
  EXPECT_THAT(plain("<a b>"), ElementsAre('<', 'a', ' ', 'b', '>'));
  EXPECT_EQ(plain("<｜User｜>").size(), std::string("<｜User｜>").size());
  // A token in the middle ends the pieces on both sides.
  EXPECT_THAT(parse("hel<think>lo"), ElementsAre(id("he"), 'l', id("<think>"), 'l', 'o'));
}

TEST_F(SmallTokenizer, AnswersForEveryId) {
  EXPECT_EQ(tokenizer_->token_bytes(id("Ġworld")), " world");
  EXPECT_EQ(tokenizer_->token_bytes(id("</think>")), "</think>");
  EXPECT_EQ(tokenizer_->token_bytes(0xE4), "\xE4");
  EXPECT_EQ(tokenizer_->token_bytes(-1), "");
  EXPECT_EQ(tokenizer_->token_bytes(1 << 30), "");
  EXPECT_EQ(tokenizer_->decode(std::vector<TokenId>{id("hello"), -5, 99999, id("<a b>")}),
            "hello<a b>");
  EXPECT_EQ(id("no such token"), -1);
  EXPECT_EQ(tokenizer_->bos(), id("<｜begin▁of▁sentence｜>"));
  EXPECT_EQ(tokenizer_->eos(), tokenizer_->bos() + 1);
  EXPECT_EQ(tokenizer_->vocab_size(), id("<a b>") + 1);
}

TEST_F(SmallTokenizer, RoundTripsAnyText) {
  std::mt19937 rng(1);
  for (int i = 0; i < 400; ++i) {
    const std::string text = i % 2 == 0 ? testing_support::random_utf8(rng, rng() % 120)
                                        : testing_support::random_bytes(rng, rng() % 120);
    EXPECT_EQ(tokenizer_->decode(parse(text)), text);
    EXPECT_EQ(tokenizer_->decode(plain(text)), text);
  }
}

TEST_F(SmallTokenizer, IsSharedBetweenThreads) {
  std::mt19937 rng(2);
  const std::string text = testing_support::random_utf8(rng, 5000);
  const auto expected = parse(text);
  std::vector<std::thread> threads;
  std::vector<int> equal(4, 0);
  for (size_t t = 0; t < equal.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) equal[t] += parse(text) == expected;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(equal, testing::Each(20));
}

TEST_F(SmallTokenizer, ByteWithoutTokenIsNamed) {
  auto json = nlohmann::json::parse(small_tokenizer_json());
  json["model"]["vocab"].erase("x");
  const auto tokenizer = load_text(json.dump());
  EXPECT_EQ(tokenizer->encode("hello", AddedTokens::kPlain).size(), 1u);
  try {
    tokenizer->encode("x", AddedTokens::kPlain);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCheckpoint);
    EXPECT_THAT(error.what(), testing::HasSubstr("byte 120"));
  }
}

TEST_F(SmallTokenizer, StreamDecoderHoldsBackAtMostThreeBytes) {
  std::mt19937 rng(5);
  for (int i = 0; i < 300; ++i) {
    const std::string text =
        i % 2 == 0 ? testing_support::random_utf8(rng, 40) : testing_support::random_bytes(rng, 60);
    StreamDecoder decoder(tokenizer_);
    std::string out;
    std::string fed;
    for (const TokenId token : plain(text)) {
      fed += tokenizer_->token_bytes(token);
      const std::string part = decoder.push(token);
      EXPECT_EQ(valid_utf8_prefix(part), part.size());
      out += part;
      // All but an unfinished tail of one code point is out.
      EXPECT_TRUE(sanitize_utf8(fed) == out || sanitize_utf8(fed) == out + "\uFFFD");
      const std::string held_back_at_most_three =
          sanitize_utf8(fed.substr(0, fed.size() - std::min<size_t>(fed.size(), 3)));
      EXPECT_GE(out.size() + 3, held_back_at_most_three.size());
    }
    out += decoder.finish();
    EXPECT_EQ(out, sanitize_utf8(text));
    EXPECT_EQ(decoder.finish(), "");
  }
}

TEST_F(SmallTokenizer, StreamDecoderKeepsMarkers) {
  StreamDecoder decoder(tokenizer_);
  EXPECT_EQ(decoder.push(id("</think>")), "</think>");
  EXPECT_EQ(decoder.push(id("｜DSML｜")), "｜DSML｜");
  EXPECT_EQ(decoder.push(0xE2), "");
  EXPECT_EQ(decoder.push(0x82), "");
  EXPECT_EQ(decoder.push(0xAC), "€");
  EXPECT_EQ(decoder.push(0xF0), "");
  EXPECT_EQ(decoder.push('x'), "\uFFFDx");
  EXPECT_EQ(decoder.push(0xF0), "");
  EXPECT_EQ(decoder.finish(), "\uFFFD");
}

TEST(TinyTokenizer, EqualsTheIndependentEncoder) {
  const auto tokenizer = Tokenizer::load(testing_support::source_path("checkpoints/tiny"));
  const auto vectors = testing_support::read_encode_vectors(
      testing_support::source_path("tests/golden/text/tiny_encode.jsonl"));
  ASSERT_GE(vectors.size(), 300u);
  for (const auto& vector : vectors) {
    EXPECT_EQ(tokenizer->encode(vector.text, AddedTokens::kParse), vector.ids) << vector.text;
    EXPECT_EQ(tokenizer->decode(vector.ids), vector.text);
  }
}

TEST(TinyTokenizer, RoundTripsAnyText) {
  const auto tokenizer =
      Tokenizer::load(testing_support::source_path("checkpoints/tiny/tokenizer.json"));
  EXPECT_EQ(tokenizer->vocab_size(), 1536);
  EXPECT_EQ(tokenizer->id_of("</think>"), 6);
  std::mt19937 rng(4);
  for (int i = 0; i < 300; ++i) {
    const std::string text = testing_support::random_utf8(rng, rng() % 200);
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, AddedTokens::kParse)), text);
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, AddedTokens::kPlain)), text);
  }
}

}  // namespace
}  // namespace ds4::text

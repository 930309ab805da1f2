#include "engine/text/pretokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/text/pattern_dialect.h"
#include "tests/unit/text/fixtures.h"

namespace ds4::text {
namespace {

using testing::ElementsAre;

// The three stages of the real tokenizer.
const std::vector<SplitRule> kRealRules = {
    {R"(\p{N}{1,3})", false, "a"},
    {"[一-龥\u3040-ゟ゠-ヿ]+", false, "b"},
    {"[!\"#$%&'()*+,\\-./"
     ":;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
     "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
     false, "c"}};

std::vector<std::string> split(const std::vector<SplitRule>& rules, std::string_view text) {
  std::vector<std::string_view> pieces;
  Pretokenizer(rules, "test.json").split(text, pieces);
  return {pieces.begin(), pieces.end()};
}

TEST(Pretokenizer, FollowsTheModelsRules) {
  EXPECT_THAT(split(kRealRules, "1234567"), ElementsAre("123", "456", "7"));
  EXPECT_THAT(split(kRealRules, "a  b   c"), ElementsAre("a", " ", " b", "  ", " c"));
  EXPECT_THAT(split(kRealRules, "foo.bar!baz"), ElementsAre("foo", ".bar", "!baz"));
  EXPECT_THAT(split(kRealRules, "end.\n\nNext"), ElementsAre("end", ".\n\n", "Next"));
  EXPECT_THAT(split(kRealRules, " \n \n x"), ElementsAre(" \n \n", " x"));
  EXPECT_THAT(split(kRealRules, "中文123英文"), ElementsAre("中文", "123", "英文"));
  EXPECT_THAT(split(kRealRules, "x 漢"), ElementsAre("x", " ", "漢"));
  EXPECT_THAT(split(kRealRules, "\x01\x02z"), ElementsAre("\x01", "\x02z"));  // a gap is a piece
  EXPECT_THAT(split(kRealRules, ""), ElementsAre());
}

TEST(Pretokenizer, LookaheadEndsWithThePiece) {
  // Stage 1 cuts before the digits, so both blanks stay together.
  EXPECT_THAT(split(kRealRules, "a  1"), ElementsAre("a", "  ", "1"));
}

TEST(Pretokenizer, SpaceIsUnicodeWhiteSpace) {
  const std::vector<SplitRule> rules = {{R"(\s)", false, "k"}};
  const std::vector<SplitRule> class_rules = {{R"([\s])", false, "k"}};
  const std::vector<SplitRule> negated_rules = {{R"(\S)", false, "k"}};
  const auto is_white_space = [](uint32_t c) {
    return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
  };
  const Pretokenizer spaces(rules, "t");
  const Pretokenizer in_class(class_rules, "t");
  const Pretokenizer negated(negated_rules, "t");
  for (uint32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    append_utf8(text, c);
    text = "--" + text;  // an isolated match makes a second piece
    std::vector<std::string_view> pieces;
    spaces.split(text, pieces);
    ASSERT_EQ(pieces.size(), is_white_space(c) ? 2u : 1u) << std::hex << c;
    pieces.clear();
    in_class.split(text, pieces);
    ASSERT_EQ(pieces.size(), is_white_space(c) ? 2u : 1u) << std::hex << c;
    pieces.clear();
    negated.split(text, pieces);
    ASSERT_EQ(pieces.size(), 3u) << std::hex << c;
  }
}

TEST(Pretokenizer, KnowsWhatUnicode15Added) {
  const auto matches = [](const char* pattern, uint32_t code_point) {
    std::string text = "\x01";
    append_utf8(text, code_point);
    return split({{pattern, false, "k"}}, text).size() == 2;
  };
  EXPECT_TRUE(matches(R"(\p{L}+)", 0x31350));  // CJK extension H
  EXPECT_TRUE(matches(R"([\p{L}\p{M}]+)", 0x323AF));
  EXPECT_TRUE(matches(R"(\p{N})", 0x1D2C0));  // Kaktovik numerals
  EXPECT_TRUE(matches(R"(\p{S})", 0x1FAE8));  // shaking face
  EXPECT_TRUE(matches(R"(\p{P})", 0x11B00));
  EXPECT_TRUE(matches(R"([\p{M}])", 0xCF3));
  EXPECT_FALSE(matches(R"([^\p{L}\x01])", 0x31350));
  EXPECT_FALSE(matches(R"(\p{L})", 0x323B0));
}

TEST(Pretokenizer, BytesThatAreNotUtf8StandAlone) {
  EXPECT_THAT(split(kRealRules,
                    "ab\xFF\xFE"
                    "cd"),
              ElementsAre("ab", "\xFF", "\xFE", "cd"));
  EXPECT_THAT(split(kRealRules, "\xE4\xB8"), ElementsAre("\xE4", "\xB8"));
  std::mt19937 rng(3);
  for (int i = 0; i < 300; ++i) {
    const std::string text = testing_support::random_bytes(rng, rng() % 80);
    std::string joined;
    for (const std::string& piece : split(kRealRules, text)) {
      EXPECT_FALSE(piece.empty());
      joined += piece;
    }
    EXPECT_EQ(joined, text);
  }
}

TEST(Pretokenizer, TakesLiteralAndEmptyMatches) {
  EXPECT_THAT(split({{"a.", true, "k"}}, "xa.ab"), ElementsAre("x", "a.", "ab"));
  EXPECT_THAT(split({{"x*", false, "k"}}, "axxb"), ElementsAre("a", "xx", "b"));
  EXPECT_THAT(split({}, "all of it"), ElementsAre("all of it"));
}

TEST(Pretokenizer, RefusesPatternsByName) {
  for (const char* pattern :
       {"(", "[a", "a{2,1}", "[a[b]]", "[a&&b]", "", "\\p{Nonsense}", "\xFF"}) {
    try {
      split({{pattern, false, "pre_tokenizer.pattern.Regex"}}, "x");
      ADD_FAILURE() << pattern;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCheckpoint);
      EXPECT_THAT(error.what(), testing::StartsWith("test.json: `pre_tokenizer.pattern.Regex`"));
      EXPECT_FALSE(error.hint().empty());
    }
  }
}

TEST(Pretokenizer, RunawayPatternIsAnErrorNotAHang) {
  EXPECT_THROW(split({{"(a+)+$", false, "k"}}, std::string(64, 'a') + "!"), Error);
}

TEST(Pretokenizer, LongPiecesAreLinear) {
  for (const char* unit : {"a", " ", "!", "\n", "\x01", "漢"}) {
    std::string text;
    while (text.size() < (1 << 20)) text += unit;
    std::vector<std::string_view> pieces;
    Pretokenizer(kRealRules, "t").split(text, pieces);
    EXPECT_FALSE(pieces.empty());
  }
}

}  // namespace
}  // namespace ds4::text

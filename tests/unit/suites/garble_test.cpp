// The features of garbled text: they see what they are for, and where it begins, and stay silent on
// ordinary answers.
#include "suites/common/garble.h"

#include <gmock/gmock.h>

#include "tests/unit/suites/support.h"

namespace ds4::suites {
namespace {

using enum GarbleFeature;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

GarbleValues values(const std::string& answer, const std::string& prompt = "What is it?") {
  return garble_values({prompt, answer, static_cast<int64_t>(answer.size())});
}

std::string reason(const std::string& answer, const std::string& prompt = "What is it?") {
  return garble_reason(values(answer, prompt));
}

double value_of(const GarbleValues& values, GarbleFeature feature) {
  return values[static_cast<size_t>(feature)].value.value_or(-1);
}

std::string times(int n, const std::string& text) {
  std::string out;
  for (int i = 0; i < n; ++i) out += text;
  return out;
}

// Different words, so that nothing repeats.
std::string prose(int n) {
  std::string out;
  for (int i = 0; i < n; ++i) {
    const char a = static_cast<char>('a' + i % 26), b = static_cast<char>('a' + i / 26 % 26);
    out += std::string("w") + a + b + static_cast<char>('a' + i * 7 % 23) + " ";
  }
  return out;
}

TEST(Garble, SeesLoopsOfEveryLength) {
  EXPECT_THAT(reason(times(400, "a")), HasSubstr("one piece, repeated"));
  EXPECT_THAT(reason("The answer is " + times(40, "and the other ")), HasSubstr("from byte"));
  EXPECT_THAT(reason(times(60, "one two three four five six seven eight nine ten\n ")),
              HasSubstr("repeated"));
  std::string wide;  // a unit longer than any loop that is looked for byte by byte
  for (int i = 0; i < 12; ++i) {
    wide += "This long sentence comes again and again although nobody asked for that at all. ";
  }
  EXPECT_THAT(reason(wide), HasSubstr("runs of four words differ"));
  // Behind a long good beginning the whole answer's share is small; the worst window's is not.
  const GarbleValues late = values(prose(3000) + times(20, prose(30)));
  EXPECT_THAT(garble_signs(late), ElementsAre(kFew4grams));
  EXPECT_GT(garble_onset(late), 10000);
}

TEST(Garble, SeesBytesAndCharactersThatAreNoText) {
  EXPECT_THAT(reason("a\xff\xfe\xfd words follow here"), HasSubstr("no text"));
  EXPECT_THAT(reason(times(3, "caf\xef\xbf\xbd ")), HasSubstr("no text"));
  EXPECT_THAT(reason("a\x01\x02\x03z"), HasSubstr("control"));
  EXPECT_THAT(reason("a\xee\x80\x80\xee\x80\x81\xee\x80\x82z"), HasSubstr("private-use"));
  EXPECT_EQ(garble_onset(values("abc\x01\x02\x03z")), 3);
}

TEST(Garble, SeesScriptsNobodyAskedFor) {
  const std::string soup = "The capital наверно 東京です คือ of that land is known";
  EXPECT_THAT(reason(soup), HasSubstr("scripts that the prompt has none of"));
  EXPECT_THAT(reason(soup, "Переведи 東京 в ไทย"), IsEmpty()) << "the prompt has them all";
}

TEST(Garble, SeesLeakedMarkersAndNothing) {
  EXPECT_THAT(reason("Paris</think>"), HasSubstr("special token"));
  EXPECT_EQ(garble_onset(values("Paris</think>")), 5);
  EXPECT_THAT(garble_reason(garble_values({"x", " \n", 12})), HasSubstr("nothing to read"));
  EXPECT_THAT(garble_reason(garble_values({"x", "", 1})), IsEmpty()) << "the end token alone";
  EXPECT_THAT(garble_reason(garble_values({"x", "", 12, false, true})), IsEmpty()) << "a call";
}

TEST(Garble, SeesUnlikelyTokensAndWhere) {
  std::vector<double> logprobs(100, -0.5);
  const std::string text = prose(100);
  EXPECT_THAT(garble_signs(garble_values({"x", text, 100, false, false, logprobs})), IsEmpty());
  std::fill(logprobs.begin() + 60, logprobs.begin() + 80, -12);
  const GarbleValues late = garble_values({"x", text, 100, false, false, logprobs});
  EXPECT_THAT(garble_signs(late), ElementsAre(kWorstLogprob));
  EXPECT_NEAR(static_cast<double>(garble_onset(late)), 0.6 * 500, 25);
  logprobs.assign(100, -std::numeric_limits<double>::infinity());
  EXPECT_FALSE(garble_reason(garble_values({"x", text, 100, false, false, logprobs})).empty());
}

TEST(Garble, ToBeCutIsToldAndNoSign) {
  EXPECT_EQ(value_of(garble_values({"x", "and then the", 3, true}), kUnfinished), 1);
  EXPECT_EQ(value_of(garble_values({"x", "That is all.", 3, true}), kUnfinished), 0);
  EXPECT_EQ(value_of(garble_values({"x", "and then the", 3, false}), kUnfinished), 0);
  EXPECT_THAT(garble_reason(garble_values({"x", "and then the", 3, true})), IsEmpty());
}

TEST(Garble, IsSilentOnOrdinaryAnswers) {
  std::string identity;
  for (int r = 0; r < 40; ++r) {
    for (int c = 0; c < 12; ++c) identity += r == c ? "| 1 " : "| 0 ";
    identity += "|\n";
  }
  const std::string answers[] = {
      "Tokyo",
      "A-4711",
      "0000000000",
      identity,
      "Ja: 東京は日本の首都です。",
      "It is π ≈ 3.14159, so α < β.",
      "| a | b |\n|---|---|\n| 1 | 2 |\n",
      times(30, "-") + "\nsum 12\n" + times(30, "-"),
      "caf\xc3",  // cut inside a character by the budget
      "for (int i = 0; i < n; ++i) {\n  for (int j = 0; j < n; ++j) {\n    a[i][j] = 0;\n  }\n}\n",
      "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16\n17\n18\n19\n20\n",
  };
  for (const std::string& answer : answers) EXPECT_THAT(reason(answer), IsEmpty()) << answer;
}

TEST(Garble, AnyBytesAreRead) {
  uint64_t state = 7;
  for (int round = 0; round < 200; ++round) {
    std::string text(static_cast<size_t>(round * round / 4), '\0');
    for (char& c : text) c = static_cast<char>((state = state * 6364136223846793005u + 1) >> 56);
    garble_reason(values(text, text));
  }
}

TEST(GarbleSuite, EachPromptComesAgainInBothOrders) {
  Parameters parameters = default_parameters("garble");
  parameters["lengths"] = std::vector<int64_t>{256};
  parameters["prompts"] = std::vector<int64_t>{2};
  parameters["repeats"] = int64_t{3};
  const Suite& suite = *find_suite("garble");
  std::map<std::string, std::string> letters;  // a letter for each distinct prompt, by order
  std::map<std::string, char> known;
  for (const CaseSpec& spec : suite.plan(parameters)) {
    const std::string text = joined_text(suite.build(parameters, spec, word_counter()));
    const auto [place, is_new] = known.emplace(text, static_cast<char>('A' + known.size()));
    letters[spec.tags.at("order")] += place->second;
    EXPECT_EQ(spec.load.at_once, 1);
  }
  EXPECT_EQ(letters.at("in_a_row"), "AAABBB");
  EXPECT_EQ(letters.at("in_turn"), "CDCDCD");
}

TEST(GarbleSuite, GradesWhatCanBeRead) {
  const Suite& suite = *find_suite("garble");
  const std::string expected = R"({"prompt": "Go on."})";
  EXPECT_EQ(suite.score(expected, content_answer("It was a warm day.", "length")).grade,
            Grade::kCorrect);
  EXPECT_EQ(suite.score(expected, content_answer(times(300, "la "))).grade, Grade::kWrong);
  EXPECT_EQ(suite.score(expected, content_answer("")).grade, Grade::kWrong);
}

}  // namespace
}  // namespace ds4::suites

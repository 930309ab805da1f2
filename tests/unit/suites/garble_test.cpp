// The features of garbled text: they see what they are for, and stay silent on ordinary answers.
#include "suites/common/garble.h"

#include <gmock/gmock.h>

namespace ds4::suites {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string reason(const std::string& answer, const std::string& prompt = "What is it?") {
  return garble_reason(garble_features(prompt, answer));
}

std::string times(int n, const std::string& text) {
  std::string out;
  for (int i = 0; i < n; ++i) out += text;
  return out;
}

TEST(Garble, SeesLoops) {
  EXPECT_THAT(reason(times(400, "a")), HasSubstr("repeated 400 times"));
  EXPECT_THAT(reason("The answer is " + times(40, "and the other ")), HasSubstr("repeated"));
  EXPECT_THAT(reason(times(60, "one two three four five six seven eight nine ten\n ")),
              HasSubstr("repeated"));
  std::string wide;  // a unit longer than any loop that is looked for
  for (int i = 0; i < 12; ++i) {
    wide += "This long sentence comes again and again although nobody asked for that at all. ";
  }
  EXPECT_THAT(reason(wide), HasSubstr("runs of four words differ"));
}

TEST(Garble, SeesBytesAndCharactersThatAreNoText) {
  EXPECT_THAT(reason("a\xff\xfe\xfd words follow here"), HasSubstr("no text"));
  EXPECT_THAT(reason(times(3, "caf\xef\xbf\xbd ")), HasSubstr("no text"));
  EXPECT_THAT(reason("a\x01\x02\x03z"), HasSubstr("control"));
  EXPECT_THAT(reason("a\xee\x80\x80\xee\x80\x81\xee\x80\x82z"), HasSubstr("private-use"));
}

TEST(Garble, SeesScriptsNobodyAskedFor) {
  const std::string soup = "The capital наверно 東京です คือ of that land is known";
  EXPECT_THAT(reason(soup), HasSubstr("scripts that the prompt has none of"));
  EXPECT_THAT(reason(soup, "Переведи 東京 в ไทย"), IsEmpty()) << "the prompt has them all";
}

TEST(Garble, SeesLeakedMarkers) {
  EXPECT_THAT(reason("Paris</think>"), HasSubstr("special token"));
}

TEST(Garble, IsSilentOnOrdinaryAnswers) {
  const std::string answers[] = {
      "",
      "Tokyo",
      "A-4711",
      "0000000000",
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

TEST(Garble, FeaturesAreNumbersOneCanStore) {
  const GarbleFeatures f = garble_features("x", "ab ab ab ab");
  EXPECT_EQ(f.bytes, 11);
  EXPECT_EQ(f.letters, 8);
  EXPECT_EQ(f.words, 4);
  EXPECT_EQ(f.loop_times, 3);  // of three bytes
  EXPECT_DOUBLE_EQ(f.loop_share, 1);
  EXPECT_DOUBLE_EQ(f.distinct_4grams, 1);
}

TEST(Garble, AnyBytesAreRead) {
  uint64_t state = 7;
  for (int round = 0; round < 200; ++round) {
    std::string text(static_cast<size_t>(round), '\0');
    for (char& c : text) c = static_cast<char>((state = state * 6364136223846793005u + 1) >> 56);
    garble_reason(garble_features(text, text));
  }
}

}  // namespace
}  // namespace ds4::suites

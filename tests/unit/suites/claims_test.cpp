// Terms in prose: what counts as said, and what as denied, asked or quoted.
#include <gtest/gtest.h>

#include "suites/common/claims.h"
#include "suites/common/fences.h"

namespace ds4::suites {
namespace {

bool claims(const char* text, const char* term) {
  return FoldedText(text).claims(term);
}

TEST(Claims, WordsWithoutRegardToCaseAccentsAndSigns) {
  EXPECT_TRUE(claims("It uses **Binary  Search**.", "binary search"));
  EXPECT_TRUE(claims("an off-by-one error", "off by one"));
  EXPECT_TRUE(claims("as Śaṅkara and Nāgārjuna held", "Shankara") == false);
  EXPECT_TRUE(claims("as Śaṅkara and Nāgārjuna held", "sankara"));
  EXPECT_TRUE(
      claims("as Śaṅkara and Na\xcc\x84"
             "ga\xcc\x84"
             "rjuna held",
             "Nagarjuna"));
  EXPECT_FALSE(claims("research", "search"));
  EXPECT_FALSE(claims("searches", "search"));
  EXPECT_TRUE(claims("searches", "search*"));
}

TEST(Claims, RunningTimes) {
  EXPECT_TRUE(claims("in O(n log n) time", "O(n log n)"));
  EXPECT_FALSE(claims("in O(n log n) time", "O(n)"));
  EXPECT_TRUE(claims("in $O(\\log n)$", "O(log n)"));
  for (const char* text : {"O(n^2)", "O(n\xc2\xb2)", "$\\mathcal{O}(n^{2})$", "O(n**2)"}) {
    EXPECT_TRUE(claims(text, "O(n^2)")) << text;
    EXPECT_FALSE(claims(text, "O(n)")) << text;
  }
}

TEST(Claims, MinusIsNoHyphen) {
  EXPECT_TRUE(claims("it returns -1", "returns -1"));
  EXPECT_TRUE(claims("it returns `-1`", "returns -1"));
  EXPECT_TRUE(
      claims("it returns \xe2\x88\x92"
             "1",
             "returns -1"));
  EXPECT_FALSE(claims("it returns 1", "returns -1"));
  EXPECT_TRUE(claims("of n-1 items", "n 1"));
}

TEST(Claims, GapsWithinASentence) {
  EXPECT_TRUE(claims("It returns the very first index.", "returns ... index"));
  EXPECT_FALSE(claims("It returns. The index is lost.", "returns ... index"));
  EXPECT_FALSE(claims("It returns one two three four five six seven index", "returns ... index"));
  EXPECT_FALSE(claims("It returns a list that is not sorted", "returns ... sorted"));
}

TEST(Claims, DeniedOrAskedIsNotClaimed) {
  for (const char* text :
       {"The list is not sorted.", "The list isn't sorted.", "The list isn’t sorted.",
        "It works without sorted input.", "It is wrong that it is sorted.", "Is it sorted?",
        "neither linked nor sorted", "Sorted is not what it is.", "never really quite sorted",
        "a copy rather than a sorted list", "non-sorted"}) {
    EXPECT_FALSE(claims(text, "sorted")) << text;
    EXPECT_TRUE(FoldedText(text).mentions("sorted")) << text;
  }
  for (const char* text :
       {"It is not only sorted but also short.", "It cannot be done without sorted input.",
        "It is not long, it is sorted.", "It is not long but sorted.", "No. It is sorted.",
        "It is not sorted here. There it is sorted.", "Is it long? It is sorted.",
        "The loop does not run and it is sorted.", "It does not grow, so it is sorted."}) {
    EXPECT_TRUE(claims(text, "sorted")) << text;
  }
}

TEST(Claims, EndorsingIsNotQuoting) {
  const auto endorses = [](const char* text) { return FoldedText(text).endorses("is nonsense"); };
  EXPECT_TRUE(endorses("Faith is nonsense."));
  EXPECT_TRUE(endorses("I think faith is nonsense."));
  EXPECT_FALSE(endorses("Critics say that faith is nonsense."));
  EXPECT_FALSE(endorses("According to him, faith is nonsense."));
  EXPECT_TRUE(endorses("Critics say so. Faith is nonsense."));
  EXPECT_FALSE(endorses("It is wrong that faith is nonsense."));
  EXPECT_EQ(FoldedText("Kant argued a. Hume held b; c. He came.").attributing_sentences(), 2);
}

TEST(Claims, EnglishShare) {
  const std::string english =
      "The question of what we owe to each other is old, and there are many answers to it in the "
      "books of those who have thought about it. ";
  const std::string german =
      "Die Frage, was wir einander schulden, ist alt, und viele haben darauf geantwortet, ohne "
      "dass sich eine Antwort durchgesetzt hat, denn jede setzt etwas voraus, was andere leugnen. ";
  const std::string chinese =
      "我们彼此欠下什么，这个问题很古老。答案很多。没有一个得到所有人的同意。";
  EXPECT_GT(FoldedText(english + english).english_share(), 0.99);
  EXPECT_LT(FoldedText(german + german).english_share(), 0.1);
  EXPECT_LT(FoldedText(chinese).english_share(), 0.1);
  EXPECT_EQ(FoldedText("").english_share(), 0);
  const double half = FoldedText(english + english + german + german).english_share();
  EXPECT_GT(half, 0.3);
  EXPECT_LT(half, 0.8);
}

TEST(Claims, HostileTextIsReadInLinearTime) {
  for (const char* unit : {"not ", "a.", "without not ", "\xff", "x", "\xcc\x84", "? ", "a a "}) {
    std::string text;
    while (text.size() < (1u << 21)) text += unit;
    const FoldedText folded(text);
    EXPECT_FALSE(folded.claims("a ... a ... a ... b"));
    EXPECT_LE(folded.english_share(), 1);
  }
  EXPECT_FALSE(FoldedText("a").claims("..."));
  EXPECT_FALSE(FoldedText("a").claims(""));
}

TEST(Fences, AreFoundWithTheirTags) {
  const auto blocks =
      fenced_blocks("a\n```cpp title\nint x;\n```\n~~~~\n```\n~~~\n~~~~\n  ```mermaid\nopen");
  ASSERT_EQ(blocks.size(), 3u);
  EXPECT_EQ(blocks[0].tag, "cpp");
  EXPECT_EQ(blocks[0].body, "int x;\n");
  EXPECT_EQ(blocks[1].body, "```\n~~~\n");
  EXPECT_EQ(blocks[2].tag, "mermaid");
  EXPECT_EQ(blocks[2].body, "open");
  EXPECT_FALSE(blocks[2].closed);
  EXPECT_TRUE(fenced_blocks("``\nno\n``\n").empty());
}

}  // namespace
}  // namespace ds4::suites

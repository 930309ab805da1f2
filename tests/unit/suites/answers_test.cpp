// The shared helpers of the scorers.
#include "suites/common/answers.h"

#include <gtest/gtest.h>

#include "suites/common/depth.h"
#include "suites/common/edit_distance.h"
#include "support.h"

namespace ds4::suites {
namespace {

TEST(Printable, KeepsValidUtf8AndReplacesTheRest) {
  EXPECT_EQ(printable("a\tb\x7f"), "a b ");
  EXPECT_EQ(printable("na\xc3\xafve \xf0\x9f\x99\x82"), "na\xc3\xafve \xf0\x9f\x99\x82");
  EXPECT_EQ(printable("\xff"
                      "a"),
            "\xef\xbf\xbd"
            "a");
  EXPECT_EQ(printable("\xc0\x80"), "\xef\xbf\xbd\xef\xbf\xbd");       // overlong
  EXPECT_EQ(printable("\xed\xa0\x80").substr(0, 3), "\xef\xbf\xbd");  // surrogate
  EXPECT_EQ(printable("\xe2\x82"), "\xef\xbf\xbd\xef\xbf\xbd");       // cut short
  EXPECT_EQ(printable(std::string(1000, 'x'), 10), "xxxxxxxxxx...");
  EXPECT_EQ(printable(""), "");
}

TEST(NormaliseWords, DropsCasePunctuationAndSpacing) {
  EXPECT_EQ(normalise_words("  **The  Capital**\nis: Paris! "), "the capital is paris");
  EXPECT_EQ(normalise_words("...!"), "");
  EXPECT_EQ(normalise_words("Caf\xc3\xa9"), "caf\xc3\xa9");
}

TEST(ContainsWords, NeedsWordBoundaries) {
  EXPECT_TRUE(contains_words("it is red", "red"));
  EXPECT_FALSE(contains_words("it is bored", "red"));
  EXPECT_FALSE(contains_words("redder", "red"));
  EXPECT_TRUE(contains_words("bored red", "red"));
  EXPECT_FALSE(contains_words("red", ""));
}

TEST(LeakedMarker, FindsSpecialTokensAndCallSyntax) {
  EXPECT_EQ(leaked_marker("plain <b>text</b> a|b"), "");
  EXPECT_EQ(leaked_marker("x <\xef\xbd\x9c"
                          "User\xef\xbd\x9c>"),
            "<\xef\xbd\x9c");
  EXPECT_EQ(leaked_marker("</think>ok"), "</think>");
  EXPECT_EQ(leaked_marker("<tool_calls>"), "tool_calls>");
}

TEST(LabelledField, ReadsTheLastSuchLine) {
  EXPECT_EQ(labelled_field("Function: a_1\n**Function:** `b_2`.\nKind: x", "function"), "b_2");
  EXPECT_EQ(labelled_field("- kind : none", "kind"), std::nullopt);
  EXPECT_EQ(labelled_field("Kind:", "kind"), "");
  EXPECT_EQ(labelled_field("The function: a", "function"), std::nullopt);
}

TEST(EditDistance, StopsAtItsLimit) {
  EXPECT_EQ(edit_distance("kitten", "sitting", 10), 3);
  EXPECT_EQ(edit_distance("kitten", "sitting", 2), 3);
  EXPECT_EQ(edit_distance("", "abc", 5), 3);
  EXPECT_EQ(edit_distance("same", "same", 0), 0);
  EXPECT_EQ(edit_distance("abc", std::string(1000, 'x'), 4), 5);
}

TEST(Depth, NamesAreStableAndReversible) {
  for (const auto& [depth, name] :
       {std::pair(0.0, "0.00"), std::pair(0.5, "0.50"), std::pair(0.07, "0.07"),
        std::pair(0.125, "0.1250"), std::pair(1.0, "1.00")}) {
    EXPECT_EQ(depth_name(depth), name);
    EXPECT_DOUBLE_EQ(depth_value(name), depth);
  }
}

TEST(VisibleAnswer, CutBySpecialReasons) {
  EXPECT_TRUE(was_cut(content_answer("", "length")));
  EXPECT_TRUE(was_cut(content_answer("", "error")));
  EXPECT_FALSE(was_cut(content_answer("", "stop")));
  EXPECT_NE(invalid_score(content_answer("", "error"), "it spoke").explanation.find("an error"),
            std::string::npos);
}

}  // namespace
}  // namespace ds4::suites

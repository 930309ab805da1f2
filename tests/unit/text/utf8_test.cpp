#include "engine/base/utf8.h"

#include <gtest/gtest.h>

#include "engine/text/byte_map.h"
#include "tests/unit/text/fixtures.h"

namespace ds4::text {
namespace {

TEST(Utf8, ReplacesMaximalSubparts) {
  EXPECT_EQ(sanitize_utf8("plain ascii, longer than eight"), "plain ascii, longer than eight");
  EXPECT_EQ(sanitize_utf8("é漢🙂"), "é漢🙂");
  EXPECT_EQ(sanitize_utf8("a\x80z"), "a�z");
  EXPECT_EQ(sanitize_utf8("\xC0\xAF"), "��");            // overlong
  EXPECT_EQ(sanitize_utf8("\xED\xA0\x80"), "���");       // surrogate
  EXPECT_EQ(sanitize_utf8("\xF4\x90\x80\x80"), "����");  // beyond U+10FFFF
  EXPECT_EQ(sanitize_utf8("\xF0\x9F\x99"), "�");         // cut off
  EXPECT_EQ(sanitize_utf8("\xF0\x9F\x99x"), "�x");
  EXPECT_EQ(sanitize_utf8("\xE2\x82\xE2\x82\xAC"), "�€");
}

TEST(Utf8, AcceptsExactlyWhatEncodes) {
  for (uint32_t code_point = 0; code_point < 0x110000; ++code_point) {
    std::string text;
    append_utf8(text, code_point);
    const bool surrogate = code_point >= 0xD800 && code_point < 0xE000;
    ASSERT_EQ(valid_utf8_prefix(text) == text.size(), !surrogate) << code_point;
    if (surrogate) continue;
    for (size_t n = 1; n < text.size(); ++n) {
      const Utf8Step step = next_utf8(std::string_view(text).substr(0, n));
      ASSERT_EQ(step.kind, Utf8Kind::kIncomplete);
      ASSERT_EQ(step.length, n);
    }
  }
}

TEST(ByteMap, IsTheByteLevelAlphabet) {
  EXPECT_EQ(byte_symbol('A'), "A");
  EXPECT_EQ(byte_symbol(' '), "Ġ");
  EXPECT_EQ(byte_symbol('\n'), "Ċ");
  EXPECT_EQ(byte_symbol(0), "Ā");
  EXPECT_EQ(byte_symbol(173), "Ń");
  EXPECT_EQ(byte_symbol(255), "ÿ");
  std::string all;
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) {
    all += byte_symbol(static_cast<uint8_t>(byte));
    bytes += static_cast<char>(byte);
  }
  EXPECT_EQ(bytes_of_symbols(all), bytes);
  EXPECT_EQ(bytes_of_symbols("a b"), std::nullopt);
  EXPECT_EQ(bytes_of_symbols("<｜User｜>"), std::nullopt);
}

}  // namespace
}  // namespace ds4::text

// Hostile text made harmless.
#include "reports/pages/escape.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace ds4::reports {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kReplacement[] = "\xEF\xBF\xBD";

TEST(CleanText, KeepsOrdinaryTextAsItIs) {
  const std::string text = "Grüße, 你好, 🙂\n\ttab \"quotes\" <b> & more";
  EXPECT_EQ(clean_text(text), text);
}

TEST(CleanText, ReplacesWhatIsNotUtf8) {
  const std::string r = kReplacement;
  EXPECT_EQ(clean_text("a\xff"
                       "b"),
            "a" + r + "b");
  EXPECT_EQ(clean_text("\xc0\xaf"), r + r) << "an overlong slash";
  EXPECT_EQ(clean_text("\xed\xa0\x80"), r + r + r) << "a surrogate";
  EXPECT_EQ(clean_text("\xf4\x90\x80\x80"), r + r + r + r) << "beyond U+10FFFF";
  EXPECT_EQ(clean_text("\xe2\x82"), r + r) << "cut short";
  EXPECT_EQ(clean_text("\x80"), r);
}

TEST(CleanText, ShowsControlCharactersInsteadOfObeyingThem) {
  EXPECT_EQ(clean_text("\033[2J"), "␛[2J");
  EXPECT_EQ(clean_text(std::string("\0\a\r\x7f", 4)), "␀␇␍␡");
  EXPECT_THAT(clean_text("\xc2\x9b"
                         "31m"),
              Not(HasSubstr("\xc2\x9b")))
      << "the 8-bit CSI";
  EXPECT_EQ(clean_line("a\nb\tc"), "a␊b␉c");
}

TEST(CleanText, NamesCharactersThatReorderOrHide) {
  EXPECT_EQ(clean_text("a\u202Eb"), "a<U+202E>b");
  EXPECT_EQ(clean_text("\uFEFF\u200B"), "<U+FEFF><U+200B>");
  EXPECT_EQ(clean_text("\U000E0041"), "<U+E0041>") << "tag characters";
}

TEST(EscapeHtml, LeavesNoMarkup) {
  EXPECT_EQ(escape_html("</script><img src=x onerror='a()'>\"&amp;"),
            "&lt;/script&gt;&lt;img src=x onerror=&#39;a()&#39;&gt;&quot;&amp;amp;");
  EXPECT_EQ(escape_html("\u202E"), "&lt;U+202E&gt;");
}

TEST(EscapeMarkdown, LeavesNoTableCellOrMarkup) {
  EXPECT_EQ(escape_markdown("a|b`c\n<i>[x](y)"), "a\\|b\\`c␊&lt;i&gt;\\[x\\](y)");
}

TEST(Escaping, RandomBytesNeverYieldAnythingActive) {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes(random() % 40, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    const std::string html = escape_html(bytes);
    for (const char c : html) {
      EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t');
      EXPECT_TRUE(c != '<' && c != '>' && c != '"' && c != '\'' && c != '\x7f');
    }
    EXPECT_EQ(clean_text(clean_text(bytes)), clean_text(bytes)) << "cleaning again changes nothing";
    if (testing::Test::HasFailure()) return;
  }
}

TEST(HeadAndTail, CutsTheMiddleBetweenCharacters) {
  EXPECT_EQ(head_and_tail("short", 10), "short");
  const std::string cut = head_and_tail(std::string(50, 'a') + std::string(50, 'b'), 20);
  EXPECT_EQ(cut, "aaaaaaaaaa\n[… 80 bytes left out …]\nbbbbbbbbbb");
  std::string umlauts;
  for (int i = 0; i < 100; ++i) umlauts += "ü";
  for (size_t limit = 0; limit < 30; ++limit) {
    const std::string part = head_and_tail(umlauts, limit);
    EXPECT_EQ(clean_text(part), part) << limit;
  }
}

}  // namespace
}  // namespace ds4::reports

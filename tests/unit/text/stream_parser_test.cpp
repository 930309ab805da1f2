#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "engine/api/text.h"
#include "tests/unit/text/fixtures.h"

namespace ds4 {
namespace {

const std::string kEos = "<｜end▁of▁sentence｜>";
const std::string kBlock =
    "\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f\">\n<｜DSML｜parameter name=\"a\" "
    "string=\"true\">x"
    "</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>";

struct Streamed {
  std::string reasoning;
  std::string content;
  std::string early_content;  // before finish
  ParsedCompletion completion;
};

// Feeds the text in pieces of the lengths that `next_length` gives.
template <typename Next>
Streamed stream(std::string_view text, ThinkingMode mode, Next next_length) {
  StreamParser parser(mode);
  Streamed out;
  while (!text.empty()) {
    const size_t length = std::min<size_t>(next_length(), text.size());
    const auto delta = parser.push(text.substr(0, length));
    out.reasoning += delta.reasoning;
    out.content += delta.content;
    text.remove_prefix(length);
  }
  out.early_content = out.content;
  const auto rest = parser.finish(out.completion);
  out.reasoning += rest.reasoning;
  out.content += rest.content;
  return out;
}

void expect_equals_whole(const std::string& text, ThinkingMode mode, const Streamed& streamed) {
  const auto whole = parse_completion(text, mode, ParseMode::kTolerant);
  EXPECT_EQ(streamed.reasoning, whole.reasoning) << text;
  EXPECT_EQ(streamed.content, whole.content) << text;
  EXPECT_EQ(streamed.completion.reasoning, whole.reasoning) << text;
  EXPECT_EQ(streamed.completion.content, whole.content) << text;
  EXPECT_EQ(streamed.completion.tool_calls, whole.tool_calls) << text;
  EXPECT_EQ(streamed.completion.well_formed, whole.well_formed) << text;
}

TEST(StreamParser, EverySplitInTwoEqualsTheWhole) {
  const std::vector<std::string> texts = {
      "",
      "plain",
      "why</think>what",
      "<think>why</think>what",
      "why</think>Look." + kBlock + kEos,
      "why</think>Look." + kBlock + " tail" + kBlock,
      "why" + kBlock + "</think>Look.\n\n\n" + kBlock.substr(2),
      "a</think>b" + kBlock + "c</think>d" + kBlock,
      "a</think>b\n\n<｜DSML｜tool_calls>\n<｜DSML｜inv",
      "a</think>b <tool_calls> prose" + kBlock,
      "a</think>b\n\n<｜DSM and more\n\n",
      "a</thi b < c <｜ d</think",
      "a</think>b<｜User｜>c" + kBlock,
  };
  for (const std::string& text : texts) {
    for (const ThinkingMode mode : {ThinkingMode::kChat, ThinkingMode::kThinking}) {
      for (size_t cut = 0; cut <= text.size(); ++cut) {
        bool first = true;
        const auto lengths = [&] {
          return std::exchange(first, false) && cut > 0 ? cut : text.size();
        };
        expect_equals_whole(text, mode, stream(text, mode, lengths));
      }
      expect_equals_whole(text, mode, stream(text, mode, [] { return 1; }));
    }
  }
}

TEST(StreamParser, RandomSplitsOfRandomTextsEqualTheWhole) {
  const std::vector<std::string> parts = {"</think>",
                                          "<think>",
                                          kEos,
                                          "<｜User｜>",
                                          kBlock,
                                          "<｜DSML｜",
                                          "<DSML｜tool_calls>",
                                          "<tool_calls>",
                                          "\n",
                                          "\n\n",
                                          "<",
                                          "</",
                                          "｜",
                                          "text ",
                                          "<｜DSML｜tool_calls>\n</｜DSML｜tool_calls>",
                                          "</tool_calls>",
                                          "<invoke name=\"g\">",
                                          "</invoke>",
                                          "é漢🙂"};
  std::mt19937 rng(31);
  for (int i = 0; i < 4000; ++i) {
    std::string text;
    for (uint32_t n = rng() % 12; n > 0; --n) text += parts[rng() % parts.size()];
    if (rng() % 3 == 0 && !text.empty()) text.erase(rng() % text.size(), 1 + rng() % 3);
    const ThinkingMode mode = rng() % 2 == 0 ? ThinkingMode::kChat : ThinkingMode::kThinking;
    expect_equals_whole(text, mode, stream(text, mode, [&] { return 1 + rng() % 9; }));
  }
}

TEST(StreamParser, ShowsTextAsSoonAsItIsSure) {
  StreamParser parser(ThinkingMode::kThinking);
  EXPECT_EQ(parser.push("I think").reasoning, "I think");
  EXPECT_EQ(parser.push(" a < b").reasoning, " a < b");
  EXPECT_EQ(parser.push(" </th").reasoning, " ");
  EXPECT_EQ(parser.push("is").reasoning, "</this");
  auto delta = parser.push(" so</think>Answer");
  EXPECT_EQ(delta.reasoning, " so");
  EXPECT_EQ(delta.content, "Answer");
  EXPECT_EQ(parser.push("</think>").content, "</think>");  // means nothing any more
  EXPECT_EQ(parser.push("\n\n\n").content, "\n");
  EXPECT_EQ(parser.push("More").content, "\n\nMore");
  EXPECT_EQ(parser.push("\n\n<｜DS").content, "");
  EXPECT_EQ(parser.push("x").content, "\n\n<｜DSx");
  EXPECT_EQ(parser.push(kBlock).content, "");
  ParsedCompletion completion;
  delta = parser.finish(completion);
  EXPECT_EQ(delta.content, "");
  EXPECT_EQ(completion.tool_calls.size(), 1u);
  EXPECT_EQ(completion.content, "Answer</think>\n\n\nMore\n\n<｜DSx");
}

TEST(StreamParser, NoMarkerOfAGoodBlockIsEverShown) {
  const std::string text = "Look." + kBlock + kEos;
  const auto streamed = stream(text, ThinkingMode::kChat, [] { return 1; });
  EXPECT_EQ(streamed.early_content, "Look.");
  EXPECT_EQ(streamed.content, "Look.");
  EXPECT_EQ(streamed.completion.tool_calls.size(), 1u);
}

TEST(StreamParser, MovesAndFinishesEmpty) {
  StreamParser first(ThinkingMode::kChat);
  first.push("<thi");
  StreamParser second(std::move(first));
  ParsedCompletion completion;
  EXPECT_EQ(second.finish(completion).content, "<thi");
  EXPECT_TRUE(completion.well_formed);
}

}  // namespace
}  // namespace ds4

// Events out of bytes, however they are cut.
#include "runners/openai/sse.h"

#include <gtest/gtest.h>

#include <vector>

namespace ds4::runners::openai {
namespace {

std::vector<std::string> parse(std::string_view bytes, size_t step, bool finish = true) {
  SseParser parser;
  std::vector<std::string> out;
  const auto take = [&](const SseEvent& event) {
    out.push_back((event.name.empty() ? "" : event.name + "|") + event.data);
  };
  for (size_t i = 0; i < bytes.size(); i += step) parser.feed(bytes.substr(i, step), take);
  if (finish) parser.finish(take);
  return out;
}

using Events = std::vector<std::string>;

void expect_events(std::string_view bytes, const Events& events) {
  for (size_t step = 1; step <= bytes.size() + 1; ++step) {
    EXPECT_EQ(parse(bytes, step), events) << "in pieces of " << step;
  }
}

TEST(Sse, AnyCutAndAnyLineEnd) {
  expect_events("data: one\n\ndata: two\n\n", {"one", "two"});
  expect_events("data: one\r\n\r\ndata: two\r\n\r\n", {"one", "two"});
  expect_events("data: one\r\rdata: two\r\r", {"one", "two"});
  expect_events("data: one\r\n\ndata: two\n\r\n", {"one", "two"});
}

TEST(Sse, MultiByteCharactersMayBeCutAnywhere) {
  expect_events("data: \xE4\xBD\xA0\xF0\x9F\x98\x80\n\n", {"\xE4\xBD\xA0\xF0\x9F\x98\x80"});
}

TEST(Sse, CommentsAndKeepAlivesAreNoEvents) {
  expect_events(": keep-alive\n\n: \n\n:\ndata: x\n: in between\ndata: y\n\n", {"x\ny"});
  SseParser parser;
  parser.feed(":a\n:b\n", [](const SseEvent&) {});
  EXPECT_EQ(parser.comments(), 2u);
}

TEST(Sse, FieldsAsTheStandardHasThem) {
  expect_events("data:no blank\n\n", {"no blank"});
  expect_events("data:  two blanks\n\n", {" two blanks"});
  expect_events("data\n\n", {""});
  expect_events("data: a\ndata: b\ndata\n\n", {"a\nb\n"});
  expect_events("event: error\ndata: x\n\ndata: y\n\n", {"error|x", "y"});
  expect_events("id: 7\nretry: 10\nnonsense\ndata: x\n\n", {"x"});
  expect_events("event: lonely\n\ndata: x\n\n", {"x"});
  expect_events(
      "\xEF\xBB\xBF"
      "data: x\n\n",
      {"x"});
}

TEST(Sse, AnErrorMayBeAFieldOfItsOwn) {
  expect_events("error: {\"message\":\"full\"}\n\n", {"error|{\"message\":\"full\"}"});
}

TEST(Sse, TheLastEventMayLackItsEmptyLine) {
  expect_events("data: one\n\ndata: [DONE]", {"one", "[DONE]"});
  expect_events("data: one\n\ndata: [DONE]\n", {"one", "[DONE]"});
  EXPECT_EQ(parse("data: one\n\ndata: tw", 3, /*finish=*/false), Events{"one"});
}

TEST(Sse, AnEventWithoutAnEndIsRefusedBeforeItFillsTheMemory) {
  SseParser parser;
  const std::string piece(size_t{1} << 20, 'x');
  int events = 0, fed = 0;
  while (parser.feed(fed == 0 ? "data: " : piece, [&](const SseEvent&) { ++events; })) {
    ASSERT_LT(++fed, 64);
  }
  EXPECT_TRUE(parser.too_long());
  EXPECT_LE(fed, 18);
  EXPECT_FALSE(parser.feed("\n\n", [&](const SseEvent&) { ++events; }));
  EXPECT_FALSE(parser.finish([&](const SseEvent&) { ++events; }));
  EXPECT_EQ(events, 0);
}

TEST(Sse, ManyShortLinesOfOneEventAreBoundedToo) {
  SseParser parser;
  std::string lines;
  for (int i = 0; i < 1000; ++i) lines += "data: " + std::string(1000, 'y') + "\n";
  bool goes_on = true;
  for (int i = 0; i < 64 && goes_on; ++i) goes_on = parser.feed(lines, [](const SseEvent&) {});
  EXPECT_FALSE(goes_on);
}

}  // namespace
}  // namespace ds4::runners::openai

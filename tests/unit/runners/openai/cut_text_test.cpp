// Characters cut between pieces, at every place and in every way servers cut them.
#include "runners/openai/cut_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/base/utf8.h"
#include "runners/openai/stream.h"

namespace ds4::runners::openai {
namespace {

const std::string kText = "a\xC3\xA4\xE4\xB8\xAD\xF0\x9F\x98\x80\"\\\n\xF4\x80\x80\x80z";

std::string escaped(const std::string& bytes) {
  std::string out;
  for (const char c : bytes) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? "\\n" : std::string(1, c);
  }
  return out;
}

std::string event(const std::string& member, const std::string& json_text) {
  return R"(data: {"choices":[{"index":0,"delta":{")" + member + "\":\"" + json_text + "\"}}]}\n\n";
}

const std::string kEnd =
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: "
    "[DONE]\n\n";

Answer read(const std::string& bytes, size_t step = 1 << 20) {
  AnswerReader reader(true);
  for (size_t i = 0; i < bytes.size(); i += step) {
    if (!reader.feed(std::string_view(bytes).substr(i, step), 1)) break;
  }
  reader.finish(2);
  return reader.take();
}

TEST(CutText, BytesOfACharacterInTwoPieces) {
  for (const char* member : {"content", "reasoning"}) {
    for (size_t first = 0; first <= kText.size(); ++first) {
      for (size_t second = first; second <= kText.size(); ++second) {
        const std::string stream = event(member, escaped(kText.substr(0, first))) +
                                   event(member, escaped(kText.substr(first, second - first))) +
                                   event(member, escaped(kText.substr(second))) + kEnd;
        const Answer answer = read(stream, 1 + second);
        ASSERT_EQ(answer.problem, "") << first << " " << second;
        ASSERT_EQ(answer.content + answer.reasoning, kText) << first << " " << second;
        ASSERT_TRUE(answer.end_mark);
      }
    }
  }
}

TEST(CutText, TheStreamItselfCutAnywhere) {
  const std::string stream = event("content", escaped(kText)) + kEnd;
  for (size_t cut = 0; cut <= stream.size(); ++cut) {
    AnswerReader reader(true);
    reader.feed(stream.substr(0, cut), 1);
    reader.feed(stream.substr(cut), 2);
    reader.finish(3);
    ASSERT_EQ(reader.answer().content, kText) << cut;
    ASSERT_TRUE(reader.answer().end_mark) << cut;
  }
}

// As a server in JavaScript cuts a text by its length: JSON.stringify escapes lone surrogates.
TEST(CutText, SurrogatesInTwoPieces) {
  const Answer answer = read(event("content", R"(x\ud83d)") + event("content", R"(\uDE00y)") +
                             event("content", R"(\ud83d\ude00 \\ud83d)") + kEnd);
  EXPECT_EQ(answer.problem, "");
  EXPECT_EQ(answer.content, "x\xF0\x9F\x98\x80y\xF0\x9F\x98\x80 \\ud83d");
}

TEST(CutText, ArgumentsOfCalls) {
  const auto piece = [](const std::string& arguments) {
    return R"(data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","function":{)"
           R"("name":"f","arguments":")" +
           arguments + "\"}}]}}]}\n\n";
  };
  const Answer answer = read(piece("{\\\"a\\\": \\\"\xE4\xB8") + piece("\xAD\\\"}") + kEnd);
  EXPECT_EQ(answer.problem, "");
  ASSERT_EQ(answer.tool_calls.size(), 1u);
  EXPECT_EQ(answer.tool_calls[0].arguments, "{\"a\": \"\xE4\xB8\xAD\"}");
}

TEST(CutText, WhatNeverBecomesACharacterIsReplaced) {
  const std::pair<const char*, const char*> cases[] = {{"a\xE4\xB8", "a\uFFFD"},
                                                       {"a\xE4z", "a\uFFFDz"},
                                                       {"\xFF\x80", "\uFFFD\uFFFD"},
                                                       {R"(\ud83d)", "\uFFFD"},
                                                       {R"(\ude00\ud83d)", "\uFFFD\uFFFD"},
                                                       {R"(\ud83dx)", "\uFFFDx"},
                                                       {"\xED\xA0", "\uFFFD"},
                                                       {"\xED", "\uFFFD"}};
  for (const auto& [json, text] : cases) {
    const Answer answer = read(event("content", json) + kEnd);
    EXPECT_EQ(answer.problem, "") << json;
    EXPECT_EQ(answer.content, text) << json;
  }
  AnswerReader whole(false);
  whole.feed("{\"choices\":[{\"message\":{\"content\":\"a\xE4\xB8\"}}]}", 1);
  whole.finish(2);
  EXPECT_EQ(whole.answer().content, "a\uFFFD");
}

// Nothing is taken for a carried byte that was not one.
TEST(CutText, CarriersOfTheirOwnAreNotMistaken) {
  const std::string own = "\xF4\x8F\xBF\xBF";
  EXPECT_EQ(read(event("content", own) + kEnd).content, own);
  EXPECT_NE(read(event("content", own + "\xE4") + kEnd).problem, "");
  EXPECT_EQ(carry_bytes(R"("\udbff\udfff)"
                        "\xE4\""),
            "");
  EXPECT_EQ(carry_bytes("plain \\\" \\u0041 \xC3\xA4"), "plain \\\" \\u0041 \xC3\xA4");
}

TEST(CutText, EveryByteIsCarriedAndComesBack) {
  std::string bytes;
  for (int byte = 255; byte >= 0x80; --byte) bytes += static_cast<char>(byte);
  const auto parsed = nlohmann::json::parse(carry_bytes("\"" + bytes + "\""));
  EXPECT_EQ(carried_bytes(parsed.get<std::string>()), bytes);
}

}  // namespace
}  // namespace ds4::runners::openai

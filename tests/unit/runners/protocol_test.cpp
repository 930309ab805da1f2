#include "runners/protocol.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace ds4::runners {
namespace {

TEST(Protocol, AttemptSurvivesTheRoundTrip) {
  AttemptMessage sent;
  sent.attempt.suite = "needle";
  sent.attempt.case_id = "512/d0.50";
  sent.attempt.suite_version = 3;
  sent.attempt.status = "ok";
  sent.attempt.prompt = "line one\nline \"two\" \x01";
  sent.attempt.tags = {{"length", "512"}};
  sent.attempt.text = "naïve 🙂";
  sent.attempt.prompt_tokens = 512;
  sent.attempt.first_token_s = 0.25;
  sent.attempt.events = {{0.25, 1}, {0.5, 2}};
  sent.attempt.samples = {{"peak_memory", 1e9, 0.5, "decode"}};
  sent.attempt.exchanges.resize(1);
  sent.attempt.exchanges[0].said = {{"tool", "{}", "call_1_1"}};
  sent.attempt.exchanges[0].text = "then";
  sent.attempt.exchanges[0].sent_s = 0.75;
  sent.attempt.exchanges[0].events = {{0.5, 1}};
  sent.score = reports::ScoreRow{0, 3, "correct", {{"exact", 1.0}}, "AB12", "equal"};

  const std::string line = encode(sent);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const auto message = decode(line);
  ASSERT_TRUE(message);
  const auto* got = std::get_if<AttemptMessage>(&*message);
  ASSERT_NE(got, nullptr);
  EXPECT_EQ(got->attempt.prompt, sent.attempt.prompt);
  EXPECT_EQ(got->attempt.text, sent.attempt.text);
  EXPECT_EQ(got->attempt.tags, sent.attempt.tags);
  ASSERT_EQ(got->attempt.events.size(), 2u);
  EXPECT_EQ(got->attempt.events[1].n_tokens, 2);
  ASSERT_EQ(got->attempt.samples.size(), 1u);
  EXPECT_EQ(got->attempt.samples[0].phase, "decode");
  ASSERT_EQ(got->attempt.exchanges.size(), 1u);
  EXPECT_EQ(got->attempt.exchanges[0].said.at(0).tool_call_id, "call_1_1");
  EXPECT_EQ(got->attempt.exchanges[0].text, "then");
  EXPECT_EQ(got->attempt.exchanges[0].sent_s, 0.75);
  ASSERT_TRUE(got->score);
  EXPECT_EQ(got->score->values.at("exact"), 1.0);
  EXPECT_EQ(encode(*message), line);
}

TEST(Protocol, WhatATargetCanSurvivesTheRoundTrip) {
  const auto message = decode(encode(ReadyMessage{R"({"tools":false})", 3, {{"a", "b \"c\""}}}));
  ASSERT_TRUE(message.has_value());
  const auto& ready = std::get<ReadyMessage>(*message);
  EXPECT_EQ(ready.target, R"({"tools":false})");
  EXPECT_EQ(ready.cases, 3);
  EXPECT_EQ(ready.skipped.at("a"), "b \"c\"");
}

TEST(Protocol, InvalidUtf8IsReplacedNotFatal) {
  AttemptMessage sent;
  sent.attempt.text = "broken \xff\xfe tail";
  const auto message = decode(encode(sent));
  ASSERT_TRUE(message);
  EXPECT_NE(std::get<AttemptMessage>(*message).attempt.text.find("tail"), std::string::npos);
}

TEST(Protocol, TornAndForeignLinesAreIgnored) {
  const std::string line = encode(PhaseMessage{"load", "1 of 3"});
  for (size_t n = 0; n < line.size(); ++n) EXPECT_FALSE(decode(line.substr(0, n))) << n;
  EXPECT_FALSE(decode("hello"));
  EXPECT_FALSE(decode("{}"));
  EXPECT_FALSE(decode(R"({"type":"unheard of"})"));
  EXPECT_FALSE(decode(R"({"type":"attempt","attempt":{"suite":7}})"));
  EXPECT_THROW(decode_assignment("{}"), Error);
  EXPECT_THROW(decode_assignment(""), Error);
}

}  // namespace
}  // namespace ds4::runners

// Long prompts for a server that has another tokenizer and tells it to nobody: sized by what it
// states for samples, at a cost that is told, and without warming its cache for the real ones.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/chat_server.h"
#include "tests/support/odd_tokenizer.h"
#include "tests/unit/runners/http/worker_run.h"

namespace ds4::runners {
namespace {

using nlohmann::json;
using test_support::ChatPlay;
using test_support::ChatServer;
using test_support::HttpConnection;
using test_support::HttpRequest;

constexpr const char* kNeedles =
    "[[suite]]\nname = \"needle\"\nlengths = [4096, 20000]\nsamples = [2]\n"
    "variants = [\"distractors\", \"seed0\"]\n";

double sample_of(const WorkerRun& run, const std::string& metric) {
  for (size_t begin = 0; begin < run.lines.size();) {
    const size_t end = run.lines.find('\n', begin);
    const std::optional<Message> message = decode(run.lines.substr(begin, end - begin));
    begin = end + 1;
    const auto* samples = message ? std::get_if<SamplesMessage>(&*message) : nullptr;
    if (!samples) continue;
    for (const probes::Sample& sample : samples->samples) {
      if (sample.metric == metric) return sample.value;
    }
  }
  return 0;
}

TEST(HttpSizing, AnotherTokenizerIsMetWithinAFifthOfAPercentOrALine) {
  std::mutex mutex;
  std::vector<std::string> samples, prompts;  // texts of requests for one token, and for more
  ChatPlay play;
  play.tokenize = false;
  play.tokens_of = test_support::odd_tokens;
  play.chat = [&](int, const HttpRequest& request, HttpConnection&) {
    const json body = json::parse(request.body);
    const std::string text = body["messages"][0]["content"];
    const std::lock_guard lock(mutex);
    (body["max_tokens"] == 1 ? samples : prompts).push_back(text);
    return false;
  };
  ChatServer server(play);
  const WorkerRun run = run_against(server.url(), "", kNeedles);
  ASSERT_EQ(run.exit_code, 0) << (run.error ? run.error->what : "");
  int needles = 0;
  for (const AttemptMessage& attempt : run.attempts) {
    if (attempt.attempt.suite != "needle") continue;
    ++needles;
    const double asked = json::parse(attempt.attempt.expected).at("asked_tokens");
    const double off = std::abs(static_cast<double>(attempt.attempt.prompt_tokens) - asked);
    // Nothing shorter than a line is added or left out.
    EXPECT_LE(off, std::max(0.002 * asked, 12.0)) << attempt.attempt.case_id;
  }
  EXPECT_EQ(needles, 8);
  EXPECT_GE(sample_of(run, "sizing_requests"), 9) << "one of each case, and the first line";
  EXPECT_LE(sample_of(run, "sizing_requests"), 4 * 4 + 4 + 1);
  EXPECT_GT(sample_of(run, "sizing_tokens"), 4 * 4096);
  EXPECT_GT(sample_of(run, "sizing_time"), 0);
  for (const std::string& prompt : prompts) {
    if (prompt.size() < 4096) continue;
    for (const std::string& sample : samples) {
      EXPECT_NE(sample.substr(0, 40), prompt.substr(0, 40)) << "a cache would have its beginning";
    }
  }
}

TEST(HttpSizing, AServerThatStatesNoCountsIsNotAsked) {
  ChatPlay play;
  play.tokenize = play.usage = play.usage_each = false;
  ChatServer server(play);
  const WorkerRun run = run_against(server.url(), "", kNeedles);
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_EQ(sample_of(run, "sizing_requests"), 0);
}

TEST(HttpSizing, AServerWithATokenizerIsAskedForCountsOnly) {
  ChatServer server(ChatPlay{});
  const WorkerRun run = run_against(
      server.url(), "", "[[suite]]\nname = \"needle\"\nlengths = [2048]\nsamples = [1]\n");
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_EQ(sample_of(run, "sizing_requests"), 0);
  EXPECT_EQ(run.attempts.back().attempt.prompt_tokens, 2048);
}

}  // namespace
}  // namespace ds4::runners

// The cases of profiles/tiny.toml asked through `serve`, whole and streamed by turns: answers,
// calls and counts are those of the embedded target, case by case.
#include <gtest/gtest.h>

#include "profiles/schema/profile.h"
#include "runners/openai/body.h"
#include "runners/openai/stream.h"
#include "runners/targets/registry.h"
#include "tests/e2e/served.h"
#include "tests/unit/runners/one_request.h"

namespace ds4::test_support {
namespace {

constexpr size_t kCasesOfASuite = 6;

runners::openai::Body body_of(const suites::Case& c, bool stream) {
  runners::openai::Body body;
  body.model = "tiny";
  body.conversation = c.conversation;
  body.prompt = c.raw;
  body.max_tokens = c.limits.max_tokens;
  body.sampling = c.limits.sampling;
  body.ignore_end = c.limits.ignore_end;
  body.thinking = runners::openai::ThinkingSwitch::kTemplateThinking;
  body.stream = body.stream_usage = body.usage_each = stream;
  return body;
}

// Ids of calls are the server's own.
std::vector<ToolCall> without_ids(std::vector<ToolCall> calls) {
  for (ToolCall& call : calls) call.id.clear();
  return calls;
}

TEST(ServeSuites, EveryAnswerIsTheEmbeddedOne) {
  const profiles::Profile profile = profiles::load_profile(source_dir() / "profiles/tiny.toml");
  const auto embedded = runners::make_target(profile);
  embedded->open([](const std::string&, const std::string&) {});
  const suites::TokenCounter counter{
      [&](const Conversation& c) { return embedded->count_tokens(c); }, true};
  const Served server({"--checkpoint", profile.checkpoint, "--context",
                       std::to_string(profile.engine.context_length)});
  size_t asked = 0, calls = 0;
  for (const profiles::SuiteSection& section : profile.suites) {
    const suites::Suite& suite = *suites::find_suite(section.name);
    const std::vector<suites::CaseSpec> specs = suite.plan(section.parameters);
    const size_t step = std::max<size_t>(1, specs.size() / kCasesOfASuite);
    for (size_t i = 0; i < specs.size(); i += step) {
      SCOPED_TRACE(section.name + " " + specs[i].id);
      const bool stream = ++asked % 2 == 0;
      const suites::Case c = suite.build(section.parameters, specs[i], counter);
      const runners::Response wanted = runners::submit(*embedded, {c.conversation, c.raw, c.limits},
                                                       [](int64_t, int64_t) { return true; });
      const runners::openai::Body body = body_of(c, stream);
      const HttpReply reply =
          server.post_bytes("/v1/" + std::string(endpoint(body)), write_body(body));
      ASSERT_EQ(reply.status, 200) << reply.body;
      // curl -i shows the chunks put together.
      runners::openai::AnswerReader reader(stream);
      reader.feed(reply.body, 0);
      reader.finish(0);
      const runners::openai::Answer& got = reader.answer();
      EXPECT_EQ(got.problem + got.error, "");
      EXPECT_EQ(got.content, wanted.answer.content);
      EXPECT_EQ(got.reasoning, wanted.answer.reasoning);
      EXPECT_EQ(without_ids(got.tool_calls), wanted.answer.tool_calls);
      EXPECT_EQ(got.finish_reason,
                wanted.answer.tool_calls.empty() ? wanted.answer.finish_reason : "tool_calls");
      ASSERT_TRUE(got.usage);
      EXPECT_EQ(got.usage->prompt_tokens, wanted.prompt_tokens);
      EXPECT_EQ(got.usage->completion_tokens, wanted.completion_tokens);
      calls += got.tool_calls.size();
    }
  }
  EXPECT_GE(asked, 5 * kCasesOfASuite);
  EXPECT_GE(calls, kCasesOfASuite) << "the suite with tools has them";
}

}  // namespace
}  // namespace ds4::test_support

#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "runners/targets/registry.h"
#include "tests/support/command.h"
#include "tests/unit/runners/one_request.h"

namespace ds4::runners {
namespace {

std::unique_ptr<Target> scripted(const ds4::test_support::TemporaryFolder& folder,
                                 const std::string& script) {
  profiles::Profile profile;
  profile.target = "scripted";
  profile.script = folder / "script.json";
  write_file_atomic(profile.script, script);
  auto target = make_target(profile);
  target->open([](const std::string&, const std::string&) {});
  return target;
}

Response ask(Target& target, const std::string& text) {
  Request request;
  Message message;
  message.role = "user";
  message.content = text;
  request.conversation.messages.push_back(message);
  return submit(target, request, [](int64_t, int64_t) { return true; });
}

TEST(ScriptedTarget, PlaysTheFirstMatchingRuleWithPlaysLeft) {
  const ds4::test_support::TemporaryFolder folder;
  const auto target = scripted(folder, R"({"rules": [
      {"contains": "a", "times": 1, "text": "first"},
      {"contains": "a", "text": "later"},
      {"contains": "b", "error": "broken pipe"}]})");
  EXPECT_EQ(ask(*target, "xax").answer.text, "first");
  EXPECT_EQ(ask(*target, "xax").answer.text, "later");
  EXPECT_EQ(ask(*target, "b").error, "broken pipe");
  EXPECT_EQ(ask(*target, "c").answer.text, "");
}

TEST(ScriptedTarget, ToolCallsAndFinishReason) {
  const ds4::test_support::TemporaryFolder folder;
  const auto target = scripted(folder, R"({"rules": [
      {"tool_calls": [{"name": "f", "arguments": {"x": 1}}], "finish_reason": "length"}]})");
  const Response response = ask(*target, "");
  ASSERT_EQ(response.answer.tool_calls.size(), 1u);
  EXPECT_EQ(response.answer.tool_calls[0].arguments, R"({"x":1})");
  EXPECT_EQ(response.answer.finish_reason, "length");
}

TEST(ScriptedTarget, BadScriptNamesTheFile) {
  const ds4::test_support::TemporaryFolder folder;
  EXPECT_THROW(scripted(folder, "{"), Error);
  EXPECT_THROW(scripted(folder, R"({"open": {"error": "no GPU"}})"), Error);
}

}  // namespace
}  // namespace ds4::runners

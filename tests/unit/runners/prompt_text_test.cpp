// What of a case is stored as its prompt.
#include <gtest/gtest.h>

#include "runners/worker.h"

namespace ds4::runners {
namespace {

TEST(PromptText, MessagesUnderTheirRoles) {
  suites::Case c;
  ds4::Message system, user;
  system.role = "system";
  system.content = "Be brief.";
  system.tools = {"{\"name\": \"f\"}"};
  user.role = "user";
  user.content = "Hi";
  c.conversation.messages = {system, user};
  EXPECT_EQ(prompt_text(c), "[system]\nBe brief.\n[tool] {\"name\": \"f\"}\n\n[user]\nHi");
}

TEST(PromptText, RawPromptsAsTextOrIds) {
  suites::Case c;
  c.raw = suites::RawPrompt{"Once upon"};
  EXPECT_EQ(prompt_text(c), "[text]\nOnce upon");
  c.raw->tokens = {5, 17};
  EXPECT_EQ(prompt_text(c), "[tokens]\n5 17");
}

}  // namespace
}  // namespace ds4::runners

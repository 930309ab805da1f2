// What every target promises (runners/targets/target.h), checked on each of them.
#include <gtest/gtest.h>

#include "engine/base/files.h"
#include "runners/targets/registry.h"
#include "tests/support/command.h"
#include "tests/support/source_dir.h"
#include "tests/unit/runners/one_request.h"

namespace ds4::runners {
namespace {

class TargetConformance : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    profile_.target = GetParam();
    profile_.checkpoint = test_support::source_dir() / "checkpoints/tiny";
    profile_.engine.context_length = 512;
    if (profile_.target == "scripted") {
      profile_.script = folder_ / "script.json";
      write_file_atomic(profile_.script,
                        R"({"rules": [{"text": "one two three", "tokens": 3, "delay_ms": 30}]})");
    }
    target_ = make_target(profile_);
    capabilities_ = target_->open(
        [&](const std::string& phase, const std::string&) { phases_.push_back(phase); });
  }
  void TearDown() override { target_->close(); }

  static Request request(const std::string& text) {
    Request r;
    Message message;
    message.role = "user";
    message.content = text;
    r.conversation.messages.push_back(message);
    r.limits.max_tokens = 24;
    return r;
  }
  static bool go_on(int64_t, int64_t) { return true; }

  ds4::test_support::TemporaryFolder folder_;
  profiles::Profile profile_;
  std::unique_ptr<Target> target_;
  Capabilities capabilities_;
  std::vector<std::string> phases_;
};

TEST_P(TargetConformance, DescribesItself) {
  EXPECT_FALSE(capabilities_.description.empty());
}

TEST_P(TargetConformance, CountsWhatItThenSees) {
  if (!capabilities_.exact_token_counts) GTEST_SKIP() << "the target only estimates";
  const Request r = request("What is 12 + 30?");
  const int64_t counted = target_->count_tokens(r.conversation);
  EXPECT_GT(counted, 0);
  EXPECT_EQ(submit(*target_, r, go_on).prompt_tokens, counted);
}

TEST_P(TargetConformance, TimesAreOrderedAndCountsAgree) {
  const Response response = submit(*target_, request("Say OK."), go_on);
  EXPECT_EQ(response.error, "");
  EXPECT_FALSE(response.answer.finish_reason.empty());
  int64_t tokens = 0;
  double last = 0;
  for (const TokenEvent& event : response.events) {
    EXPECT_GE(event.time_s, last);
    EXPECT_GE(event.n_tokens, 1);
    last = event.time_s;
    tokens += event.n_tokens;
  }
  EXPECT_EQ(tokens, response.completion_tokens);
  EXPECT_LE(response.completion_tokens, 24);
  ASSERT_FALSE(response.events.empty());
  EXPECT_EQ(response.first_token_s, response.events.front().time_s);
  EXPECT_GE(response.end_s, last);
}

TEST_P(TargetConformance, SameRequestTwiceGivesTheSameAnswer) {
  const Request r = request("What is the capital of France?");
  const Response first = submit(*target_, r, go_on), second = submit(*target_, r, go_on);
  EXPECT_EQ(first.answer.text, second.answer.text);
  EXPECT_EQ(first.completion_tokens, second.completion_tokens);
}

TEST_P(TargetConformance, CanBeCancelledAndUsedAgain) {
  const Response cancelled =
      submit(*target_, request("Say OK."), [](int64_t, int64_t) { return false; });
  EXPECT_EQ(cancelled.answer.finish_reason, "cancelled");
  EXPECT_EQ(submit(*target_, request("Say OK."), go_on).error, "");
}

INSTANTIATE_TEST_SUITE_P(Targets, TargetConformance, testing::Values("engine", "null", "scripted"),
                         [](const auto& tested) { return std::string(tested.param); });

TEST(TargetRegistry, EveryTargetIsUnderTheConformanceTest) {
  std::vector<std::string_view> names;
  for (const TargetKind& kind : target_kinds()) names.push_back(kind.name);
  EXPECT_EQ(names, (std::vector<std::string_view>{"engine", "null", "scripted"}));
}

}  // namespace
}  // namespace ds4::runners

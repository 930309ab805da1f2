// Sizes and grades of the speed suite.
#include <gmock/gmock.h>

#include <set>

#include "tests/unit/suites/support.h"

namespace ds4::suites {
namespace {

const Suite& speed() {
  return *find_suite("speed");
}

TEST(Speed, PromptsHaveExactLengthsAndShareNoBeginning) {
  Parameters parameters = default_parameters("speed");
  parameters["lengths"] = std::vector<int64_t>{96, 301, 4096};
  parameters["samples"] = std::vector<int64_t>{4, 3, 2};
  std::set<std::string> beginnings;
  const auto cases = speed().plan(parameters);
  EXPECT_EQ(cases.size(), 9u);
  for (const CaseSpec& spec : cases) {
    const Case made = speed().build(parameters, spec, word_counter());
    EXPECT_EQ(word_counter().count(made.conversation), std::stoll(spec.tags.at("length")));
    EXPECT_TRUE(made.limits.ignore_end);
    EXPECT_EQ(made.limits.max_tokens, 64);
    beginnings.insert(made.conversation.messages.at(0).content.substr(0, 40));
  }
  EXPECT_EQ(beginnings.size(), cases.size());
}

TEST(Speed, CompleteMeansEndedByTheLimit) {
  const std::string expected = R"({"answer_tokens":64})";
  Answer answer;
  answer.finish_reason = "length";
  EXPECT_EQ(speed().score(expected, answer).values.at("complete"), 1);
  answer.finish_reason = "stop";
  const Score early = speed().score(expected, answer);
  EXPECT_EQ(early.values.at("complete"), 0);
  EXPECT_EQ(early.grade, Grade::kWrong);
}

}  // namespace
}  // namespace ds4::suites

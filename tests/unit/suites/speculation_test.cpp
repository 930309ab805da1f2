// Prompts of the speculation suite: sized, of their family, and answers of an exact length.
#include <gmock/gmock.h>

#include <set>

#include "engine/base/error.h"
#include "tests/unit/suites/support.h"

namespace ds4::suites {
namespace {

using ::testing::HasSubstr;

const Suite& suite() {
  return *find_suite("speculation");
}

TEST(Speculation, PromptsAreOfTheirFamilyAndNearlyAsLongAsAsked) {
  Parameters parameters = default_parameters("speculation");
  parameters["lengths"] = std::vector<int64_t>{128, 1000};
  parameters["samples"] = std::vector<int64_t>{2};
  const std::map<std::string, std::string> signs = {{"code", "return "},
                                                    {"prose", "The "},
                                                    {"lists", "\n3. "},
                                                    {"copy", "Repeat this text"},
                                                    {"random", "these words"}};
  std::set<std::string> beginnings;
  const auto cases = suite().plan(parameters);
  EXPECT_EQ(cases.size(), 20u);
  for (const CaseSpec& spec : cases) {
    const Case made = suite().build(parameters, spec, word_counter());
    const int64_t length = std::stoll(spec.tags.at("length"));
    EXPECT_LE(word_counter().count(made.conversation), length);
    EXPECT_GT(word_counter().count(made.conversation), length - 24) << spec.id;
    EXPECT_TRUE(made.limits.ignore_end);
    const std::string text = joined_text(made);
    if (length > 500) {
      EXPECT_THAT(text, HasSubstr(signs.at(spec.tags.at("family")))) << spec.id;
    }
    beginnings.insert(text.substr(0, 40));
  }
  EXPECT_EQ(beginnings.size(), cases.size());
}

TEST(Speculation, ATextThatHasNoRoomIsNamed) {
  Parameters parameters = default_parameters("speculation");
  const auto cases = suite().plan(parameters);
  const TokenCounter huge = {[](const Conversation&) { return int64_t{1000000}; }, true};
  EXPECT_THROW(suite().build(parameters, cases.at(0), huge), Error);
}

TEST(Speculation, CompleteMeansEndedByTheLimit) {
  const std::string expected = R"({"answer_tokens":96})";
  EXPECT_EQ(suite().score(expected, content_answer("x", "length")).values.at("complete"), 1);
  EXPECT_EQ(suite().score(expected, content_answer("x", "stop")).grade, Grade::kWrong);
}

}  // namespace
}  // namespace ds4::suites

// suite.toml: the made-up ones here, and those of every suite in the binary.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/profiles/fixtures.h"

namespace ds4::profiles {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(SuiteDefinition, ReadsNameVersionScoresAndTypedDefaults) {
  const suites::Definition d = parse_suite_definition(kNeedleToml, "x");
  EXPECT_EQ(d.name, "needle");
  EXPECT_EQ(d.version, 3);
  EXPECT_EQ(d.scores, (std::vector<std::string>{"exact", "near"}));
  EXPECT_TRUE(std::holds_alternative<std::vector<int64_t>>(d.defaults.at("lengths")));
  EXPECT_TRUE(std::holds_alternative<std::vector<double>>(d.defaults.at("depths")));
  EXPECT_TRUE(std::holds_alternative<std::vector<std::string>>(d.defaults.at("kinds")));
  EXPECT_TRUE(std::holds_alternative<std::string>(d.defaults.at("style")));
  EXPECT_TRUE(std::holds_alternative<int64_t>(d.defaults.at("cases")));
  EXPECT_TRUE(std::holds_alternative<double>(d.defaults.at("share")));
  EXPECT_TRUE(std::holds_alternative<bool>(d.defaults.at("thinking")));
}

std::string problem(const std::string& text) {
  try {
    parse_suite_definition(text, "s.toml");
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kProfile);
    return e.what();
  }
  return "no error";
}

TEST(SuiteDefinition, NamesWhatIsWrong) {
  const std::string head = "name=\"a\"\nversion=1\ndescription=\"d\"\nscores=[\"s\"]\n";
  EXPECT_EQ(problem(head), "no error");
  EXPECT_THAT(problem("version = 1\n"), HasSubstr("the key `name` is missing"));
  EXPECT_THAT(problem(head + "x = 1\n"), StartsWith("s.toml:5: unknown key `x`"));
  EXPECT_THAT(problem(head + "[defaults]\nname = 1\n"), HasSubstr("cannot be called `name`"));
  EXPECT_THAT(problem(head + "[defaults]\na = []\n"), StartsWith("s.toml:6: `a` must be"));
  EXPECT_THAT(problem(head + "[defaults]\na = [1, \"b\"]\n"), StartsWith("s.toml:6: `a` is"));
  EXPECT_THAT(problem("name=\"a\"\nversion=0\ndescription=\"d\"\nscores=[\"s\"]\n"),
              StartsWith("s.toml:2: `version` is 0"));
  EXPECT_THAT(problem("name=\"a\"\nversion=1\ndescription=\"d\"\nscores=[]\n"),
              StartsWith("s.toml:4: `scores` is empty"));
}

TEST(SuiteDefinition, EverySuiteOfTheBinaryHasOne) {
  for (const suites::Suite* suite : suites::all_suites()) {
    const suites::Definition& definition = suite_definition(*suite);
    EXPECT_EQ(definition.name, suite->name());
    EXPECT_EQ(&definition, &suite_definition(*suite)) << "parsed once";
  }
}

}  // namespace
}  // namespace ds4::profiles

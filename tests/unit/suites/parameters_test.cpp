// Bad values name the suite, the key, the range and the nearest valid value.
#include "suites/common/parameters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "support.h"

namespace ds4::suites {
namespace {

using testing::HasSubstr;

void expect_error(const std::string& suite, const std::string& key, ParameterValue value,
                  const std::string& what, const std::string& hint) {
  Parameters parameters = default_parameters(suite);
  parameters[key] = std::move(value);
  try {
    find_suite(suite)->plan(parameters);
    FAIL() << suite << " " << key;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kProfile);
    EXPECT_THAT(error.what(), HasSubstr("suite `" + suite + "`: `" + key + "`"));
    EXPECT_THAT(error.what(), HasSubstr(what));
    EXPECT_THAT(error.hint(), HasSubstr(hint));
  }
}

TEST(ParameterErrors, NameTheNearestValidValue) {
  using Integers = std::vector<int64_t>;
  using Strings = std::vector<std::string>;
  expect_error("needle", "lengths", Integers{512, 8}, "8 tokens; it must lie between 96",
               "Use 96.");
  expect_error("needle", "lengths", Integers{}, "is empty", "[96]");
  expect_error("needle", "lengths", Integers{512, 512}, "512 twice", "once");
  expect_error("needle", "residues", Integers{4}, "between 0 and 3", "Use 3.");
  expect_error("needle", "depths", std::vector<double>{1.5}, "1.5", "Use 1.");
  expect_error("needle", "depths", std::vector<double>{-0.5}, "-0.5", "Use 0.");
  expect_error("needle", "samples", Integers{1, 2}, "2 entries for 3 in `lengths`", "one number");
  expect_error("needle", "variants", Strings{"digit"}, "must be one of", "Use \"digits\".");
  expect_error("needle", "facts", int64_t{1}, "between 2 and 64", "Use 2.");
  expect_error("arithmetic", "steps", Integers{0}, "0 steps", "Use 1.");
  expect_error("arithmetic", "kinds", Strings{"sums"}, "must be one of story, sum", "Use \"sum\".");
  expect_error("arithmetic", "cases", int64_t{0}, "0 cases", "Use 1.");
  expect_error("smoke", "style", std::string("instruct"), "one of bare, instructed",
               "Use \"instructed\".");
  expect_error("smoke", "max_tokens", int64_t{0}, "0 tokens", "Use 1.");
  expect_error("smoke", "seed", int64_t{-1}, "-1", "Use 0.");
  expect_error("tool_calls", "tools_in", std::string("system"), "one of tools, system_text",
               "Use \"");
  expect_error("tool_calls", "offered_min", int64_t{4}, "above `offered_max` = 3", "Use 3");
  expect_error("long_code", "languages", Strings{"cpp"}, "one of c, python", "Use \"c\".");
  expect_error("long_code", "kinds", Strings{"none", "none"}, "\"none\" twice", "once");
}

TEST(NumberedId, HasFourDigits) {
  EXPECT_EQ(numbered_id(0), "0000");
  EXPECT_EQ(numbered_id(9999), "9999");
}

}  // namespace
}  // namespace ds4::suites

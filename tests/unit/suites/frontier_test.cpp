// The frontier suite's texts: each goes on from the one before, and none is longer than asked.
#include <gmock/gmock.h>

#include <fstream>

#include "engine/base/error.h"
#include "suites/common/long_text.h"
#include "tests/support/command.h"
#include "tests/unit/suites/support.h"

namespace ds4::suites {
namespace {

const Suite& frontier() {
  return *find_suite("frontier");
}

Parameters walk(int64_t start, int64_t end, int64_t step, double multiply = 1) {
  Parameters parameters = default_parameters("frontier");
  parameters["ctx_start"] = start;
  parameters["ctx_max"] = end;
  parameters["step"] = step;
  parameters["multiply"] = multiply;
  return parameters;
}

std::vector<std::string> ids(const Parameters& parameters) {
  std::vector<std::string> out;
  for (const CaseSpec& spec : frontier().plan(parameters)) out.push_back(spec.id);
  return out;
}

std::string error_of(const Parameters& parameters) {
  try {
    for (const CaseSpec& spec : frontier().plan(parameters)) {
      frontier().build(parameters, spec, word_counter());
    }
  } catch (const Error& e) {
    return std::string(e.what()) + " | " + e.hint();
  }
  return "";
}

TEST(Frontier, StepsAndFactors) {
  using testing::ElementsAre;
  EXPECT_THAT(ids(walk(100, 250, 50)), ElementsAre("100", "150", "200", "250"));
  EXPECT_THAT(ids(walk(100, 230, 100)), ElementsAre("100", "200", "230"));
  EXPECT_THAT(ids(walk(100, 1000, 50, 2.5)), ElementsAre("100", "250", "625", "1000"));
  EXPECT_THAT(ids(walk(64, 64, 50)), ElementsAre("64"));
}

TEST(Frontier, EachTextGoesOnFromTheOneBefore) {
  const Parameters parameters = walk(50, 3000, 177);
  std::string before;
  for (const CaseSpec& spec : frontier().plan(parameters)) {
    const Case made = frontier().build(parameters, spec, word_counter());
    ASSERT_TRUE(made.raw);
    const int64_t asked = std::stoll(spec.id);
    // The counter counts words, whether letters or digits; a frontier lies between two of letters.
    EXPECT_LE(count_words(made.raw->text), asked);
    EXPECT_GT(count_words(made.raw->text), asked - 15);
    EXPECT_TRUE(made.raw->text.starts_with(before));
    EXPECT_GT(made.raw->text.size(), before.size());
    EXPECT_EQ(made.cold, before.empty());
    EXPECT_TRUE(made.limits.ignore_end);
    EXPECT_EQ(spec.load.group, "walk");
    EXPECT_EQ(spec.load.at_once, 1);
    before = made.raw->text;
  }
}

TEST(Frontier, AnEstimateWillDo) {
  const Parameters parameters = walk(100, 500, 200);
  for (const CaseSpec& spec : frontier().plan(parameters)) {
    const Case made = frontier().build(parameters, spec, byte_counter());
    EXPECT_LE(made.raw->text.size() / 4, std::stoul(spec.id) + 1);
    EXPECT_GT(made.raw->text.size() / 4, std::stoul(spec.id) - 20);
  }
}

TEST(Frontier, ReadsAFileAndSaysWhatIsWrongWithIt) {
  const test_support::TemporaryFolder folder;
  const auto path = [&](const char* name) { return (folder.path() / name).string(); };
  std::string text = "Quel ramo del lago";
  for (int i = 0; i < 300; ++i) text += " di Como che volge a mezzogiorno";
  std::ofstream(path("text")) << text;
  std::ofstream(path("bytes")) << "caf\xe9 au lait";
  Parameters parameters = walk(50, 1000, 400);
  parameters["text"] = path("text");
  parameters["opening"] = std::string("");
  const Case made = frontier().build(parameters, frontier().plan(parameters)[0], word_counter());
  EXPECT_EQ(made.raw->text, text.substr(0, made.raw->text.size()));
  EXPECT_EQ(count_words(made.raw->text), 50);
  EXPECT_THAT(made.expected, testing::HasSubstr("text_sha256"));
  parameters["ctx_max"] = int64_t{5000};
  EXPECT_THAT(error_of(parameters), testing::HasSubstr("longer text"));
  parameters["text"] = path("bytes");
  EXPECT_THAT(error_of(parameters), testing::HasSubstr("no UTF-8"));
  parameters["text"] = path("none");
  EXPECT_THAT(error_of(parameters),
              testing::AllOf(testing::HasSubstr(path("none")), testing::HasSubstr("`text`")));
}

TEST(Frontier, RefusesWhatCannotBeWalked) {
  EXPECT_THAT(error_of(walk(500, 400, 50)), testing::HasSubstr("`ctx_max` 400 is below"));
  EXPECT_THAT(error_of(walk(2048, 1048576, 2048)), testing::HasSubstr("multiply = 2.0"));
}

}  // namespace
}  // namespace ds4::suites

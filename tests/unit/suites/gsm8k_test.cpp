// gsm8k: the harness' draw and prompts by their golden values, its filters by their oddities, and
// every published solution graded as right.
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "suites/common/datasets.h"
#include "suites/common/numbers.h"
#include "suites/gsm8k/draw.h"
#include "support.h"

namespace ds4::suites {
namespace {

using Numbers = std::vector<int64_t>;

// evals.md 1.2.
TEST(Gsm8kDraw, IsPythonsStream) {
  const auto drawn = [](int64_t shots, int64_t item) {
    return draw_shots(1234, 7473, shots, item);
  };
  EXPECT_EQ(drawn(5, 0), (Numbers{6374, 3610, 957, 61, 742}));
  EXPECT_EQ(drawn(5, 1), (Numbers{7462, 6610, 4769, 286, 5501}));
  EXPECT_EQ(drawn(5, 2), (Numbers{5677, 687, 806, 6279, 2905}));
  EXPECT_EQ(drawn(5, 1318), (Numbers{220, 4179, 6064, 5599, 5541}));
  EXPECT_EQ(drawn(8, 0), (Numbers{6374, 3610, 957, 61, 742, 7462, 6610, 4769}));
  EXPECT_EQ(drawn(8, 2), (Numbers{142, 252, 6461, 129, 2835, 5311, 5105, 3966}));
  EXPECT_EQ(drawn(8, 1318), (Numbers{6090, 5498, 6519, 1197, 6055, 1030, 4661, 3681}));
}

TEST(Gsm8kFilter, AnswerIsTakesACharacterBehindTheNumber) {
  const auto found = [](std::string_view text) {
    const auto number = answer_is_number(text);
    return number ? number->text : "[invalid]";
  };
  EXPECT_EQ(found("The answer is 18."), "18");
  EXPECT_EQ(found("The answer is 18. So"), "18.");
  EXPECT_EQ(found("The answer is 18"), "1");
  EXPECT_EQ(found("The answer is 18\n"), "1");
  EXPECT_EQ(found("The answer is 8"), "[invalid]");
  EXPECT_EQ(found("The answer is -8"), "[invalid]");
  EXPECT_EQ(found("The answer is -1,800 dollars"), "-1,800");
  EXPECT_EQ(found("The answer is 8\nThe answer is $9. The answer is 7."), "7");
  EXPECT_EQ(found("the answer is 18."), "[invalid]");
}

// A folder whose gsm8k/ has the published files, or a skip that says why.
class Gsm8kData : public testing::Test {
 protected:
  void SetUp() override {
    if (!use_shared_dataset("gsm8k")) {
      GTEST_SKIP() << "data/gsm8k is not under $DS4_SHARED or ../shared";
    }
  }
  static Case made(Parameters parameters, int64_t item) {
    const Suite& suite = *find_suite("gsm8k");
    return suite.build(parameters, suite.plan(parameters).at(static_cast<size_t>(item)),
                       word_counter());
  }
  static Parameters with(int64_t shots) {
    Parameters parameters = default_parameters("gsm8k");
    parameters["shots"] = shots;
    return parameters;
  }
};

// evals.md 1.2.
TEST_F(Gsm8kData, PromptsAreTheHarnesss) {
  const std::string five = made(with(5), 0).raw->text;
  EXPECT_EQ(sha256_hex(five), "32680f263ba83280e98a8a24ceefed10a722a4cdcd9f4d78e93c45d43143ca66");
  const std::string eight = made(with(8), 0).raw->text;
  EXPECT_EQ(sha256_hex(eight), "d2665d46bac7074822519f9ed3dc0f83cc13b5d9e299fec8f202cdd81cd55cdd");
}

TEST_F(Gsm8kData, FormsSayTheSame) {
  Parameters parameters = with(2);
  const std::string raw = made(parameters, 7).raw->text;
  parameters["form"] = std::string("chat");
  const Case chat = made(parameters, 7);
  EXPECT_FALSE(chat.raw);
  EXPECT_EQ(joined_text(chat.conversation), raw);
  EXPECT_TRUE(chat.limits.sampling.stop.empty());
  parameters["form"] = std::string("multiturn");
  const Case turns = made(parameters, 7);
  ASSERT_EQ(turns.conversation.messages.size(), 5u);
  EXPECT_EQ(turns.conversation.messages[1].role, "assistant");
  EXPECT_EQ(turns.conversation.messages[0].content + " " + turns.conversation.messages[1].content +
                "\n\n" + turns.conversation.messages[2].content + " " +
                turns.conversation.messages[3].content + "\n\n" +
                turns.conversation.messages[4].content,
            raw);
}

TEST_F(Gsm8kData, CotHasEightFixedShots) {
  Parameters parameters = with(8);
  parameters["task"] = std::string("gsm8k_cot");
  const std::string first = made(parameters, 0).raw->text;
  EXPECT_TRUE(first.starts_with("Q: There are 15 trees in the grove."));
  EXPECT_TRUE(
      first.ends_with("How much in dollars does she make every day at the farmers' market?\nA:"));
  parameters["shots"] = int64_t{5};
  EXPECT_ANY_THROW(made(parameters, 0));
}

// Every solution of the train split is right, and with another number wrong.
TEST_F(Gsm8kData, PublishedSolutionsAreRight) {
  const Suite& suite = *find_suite("gsm8k");
  std::string_view text = dataset_text("gsm8k", "train.jsonl");
  int graded = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string solution = nlohmann::json::parse(text.substr(0, end)).at("answer");
    text.remove_prefix(end + 1);
    const std::string expected =
        nlohmann::json{{"answer", solution}, {"cot", false}, {"stop", {"Question:"}}}.dump();
    const Score right = suite.score(expected, content_answer(solution + "\n\nQuestion: 1 + 1?"));
    EXPECT_EQ(right.grade, Grade::kCorrect) << solution;
    EXPECT_EQ(right.values.at("strict"), 1) << solution;
    const Score wrong = suite.score(expected, content_answer(solution + "1"));
    EXPECT_EQ(wrong.grade, Grade::kWrong) << solution;
    EXPECT_EQ(wrong.values.at("strict"), 0) << solution;
    const Score cut = suite.score(expected, content_answer(solution, "length"));
    EXPECT_EQ(cut.grade, Grade::kInvalid) << solution;
    ++graded;
  }
  EXPECT_EQ(graded, 7473);
}

TEST(Datasets, SayHowToGetThem) {
  setenv("DS4_SWEEP_DATA", "/nonexistent", 1);
  try {
    dataset_text("gsm8k", "test.jsonl");
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("/nonexistent/gsm8k/test.jsonl"), std::string::npos);
    EXPECT_NE(error.hint().find("ds4-sweep fetch gsm8k"), std::string::npos);
  }
  unsetenv("DS4_SWEEP_DATA");
}

}  // namespace
}  // namespace ds4::suites

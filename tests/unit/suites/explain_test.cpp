// The explain suite: explanations written by hand (explain.golden), line by line.
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "engine/base/error.h"
#include "support.h"

namespace ds4::suites {
namespace {

const Suite& explain() {
  return *find_suite("explain");
}

using Lines = std::map<std::string, std::string>;  // by field, "trap" and "lie"

std::map<std::string, Lines> golden_lines() {
  std::ifstream file(test_support::source_dir() / "tests/unit/suites/explain.golden");
  std::map<std::string, Lines> out;
  std::string id;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("=== ")) {
      id = line.substr(4);
    } else {
      out[id][line.substr(0, line.find(':'))] = line.substr(line.find(':') + 2);
    }
  }
  return out;
}

std::string joined(const Lines& lines, const std::string& without, bool lie = false) {
  std::string out;
  for (const auto& [name, text] : lines) {
    if (name != without && (lie || name != "lie")) out += "- " + text + "\n";
  }
  return out;
}

std::string missed(const std::string& expected, const std::string& answer) {
  const Score score = explain().score(expected, content_answer(answer));
  std::string out;
  for (const auto& [name, value] : score.values) {
    if (name != "fields" && value == 0) out += (out.empty() ? "" : " ") + name;
  }
  EXPECT_EQ(score.grade == Grade::kCorrect, out.empty());
  return out;
}

TEST(Explain, EachLineOfAGoodAnswerIsItsField) {
  const Parameters parameters = default_parameters("explain");
  const auto answers = golden_lines();
  for (const CaseSpec& spec : explain().plan(parameters)) {
    const Case made = explain().build(parameters, spec, word_counter());
    ASSERT_TRUE(answers.contains(spec.id)) << spec.id;
    const Lines& lines = answers.at(spec.id);
    EXPECT_EQ(lines.size(), 7u) << spec.id;
    EXPECT_EQ(missed(made.expected, joined(lines, "")), "") << spec.id;
    EXPECT_EQ(missed(made.expected, joined(lines, "", true)), "no_false_claim") << spec.id;
    EXPECT_EQ(missed(made.expected, joined(lines, "trap")), "") << spec.id;
    for (const char* field : {"purpose", "input_output", "complexity", "invariant", "edge_case"}) {
      EXPECT_EQ(missed(made.expected, joined(lines, field)), field) << spec.id;
    }
    EXPECT_NE(joined_text(made).find("O notation"), std::string::npos);
    EXPECT_EQ(made.expected.find("[]"), std::string::npos) << "brackets are no part of a term";
  }
}

TEST(Explain, TheQuestionAloneEarnsNothing) {
  const Parameters parameters = default_parameters("explain");
  for (const CaseSpec& spec : explain().plan(parameters)) {
    const Case made = explain().build(parameters, spec, word_counter());
    const std::string text = joined_text(made);
    const std::string ask = text.substr(0, text.find("\n\n"));
    EXPECT_EQ(explain().score(made.expected, content_answer("no")).values.at("fields"), 0);
    EXPECT_LE(explain().score(made.expected, content_answer(ask)).values.at("fields"), 0.5) << ask;
  }
}

TEST(Explain, CutIsInvalidAndTokensAreHeld) {
  EXPECT_EQ(explain().score("{}", content_answer("It is", "length")).grade, Grade::kInvalid);
  Parameters parameters = default_parameters("explain");
  parameters["max_tokens"] = int64_t{1023};
  EXPECT_THROW(explain().plan(parameters), Error);
}

}  // namespace
}  // namespace ds4::suites

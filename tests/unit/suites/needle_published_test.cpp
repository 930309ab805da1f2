// Published forms of the needle suite: RULER's retrieval tasks and the context test of the K160
// runs; streams and residues modulo 128.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "suites/common/answers.h"
#include "suites/common/most_units.h"
#include "suites/needle/challenge.h"
#include "support.h"

namespace ds4::suites {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const Suite& needle() {
  return *find_suite("needle");
}

Parameters with(std::vector<std::string> variants, int64_t length, int64_t samples) {
  Parameters parameters = default_parameters("needle");
  parameters["variants"] = std::move(variants);
  parameters["lengths"] = std::vector<int64_t>{length};
  parameters["samples"] = std::vector<int64_t>{samples};
  parameters["style"] = std::string("bare");
  return parameters;
}

std::string text_of(const Case& made) {
  return made.conversation.messages.at(0).content;
}

struct Made {
  std::string text;
  std::vector<std::string> values, others;
  Case whole;
};

Made make(const Parameters& parameters, const CaseSpec& spec) {
  Made out;
  out.whole = needle().build(parameters, spec, word_counter());
  out.text = text_of(out.whole);
  const auto expected = nlohmann::json::parse(out.whole.expected);
  expected.at("values").get_to(out.values);
  expected.at("others").get_to(out.others);
  return out;
}

int occurrences(const std::string& text, const std::string& part) {
  int n = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++n;
  return n;
}

class EveryPublished : public testing::TestWithParam<std::string> {};

TEST_P(EveryPublished, LengthIsExactModulo128AndTheTagsSayWhich) {
  Parameters parameters = with({GetParam()}, 3000, 6);
  parameters["modulus"] = int64_t{128};
  parameters["residues"] = std::vector<int64_t>{0, 1, 3, 64, 126, 127};
  std::set<std::string> residues;
  for (const CaseSpec& spec : needle().plan(parameters)) {
    const Made made = make(parameters, spec);
    const int64_t tokens = word_counter().count(made.whole.conversation);
    EXPECT_LE(tokens, 3000);
    EXPECT_GT(tokens, 3000 - 128);
    EXPECT_EQ(std::to_string(tokens % 128), spec.tags.at("residue128")) << spec.id;
    EXPECT_EQ(std::to_string(tokens % 4), spec.tags.at("residue"));
    residues.insert(spec.tags.at("residue128"));
  }
  EXPECT_EQ(residues, (std::set<std::string>{"0", "1", "3", "64", "126", "127"}));
}

TEST_P(EveryPublished, EveryValueStandsOnceAndItsListScoresOne) {
  const Parameters parameters = with({GetParam()}, 1500, 4);
  for (const CaseSpec& spec : needle().plan(parameters)) {
    const Made made = make(parameters, spec);
    std::string all;
    for (const std::string& value : made.values) {
      EXPECT_EQ(occurrences(made.text, value), 1) << spec.id;
      all += value + ", ";
    }
    const auto score = [&](const std::string& answer) {
      return needle().score(made.whole.expected, content_answer(answer));
    };
    EXPECT_EQ(score("They are " + all).grade, Grade::kCorrect);
    EXPECT_EQ(score("They are " + all).values.at("found"), 1);
    std::string mutated = all;  // the last character of the first value
    char& last = mutated[made.values[0].size() - 1];
    last = last == '5' ? '6' : '5';
    EXPECT_EQ(score(mutated).grade, Grade::kWrong);
    EXPECT_EQ(score(mutated).values.at("near_miss"), 1) << mutated;
    EXPECT_EQ(score(mutated).values.at("found"), 1 - 1 / static_cast<double>(made.values.size()));
    if (!made.others.empty()) {
      EXPECT_EQ(score(made.others[0]).values.at("confused"), 1);
    }
    EXPECT_EQ(score("").values.at("absent"), 1);
  }
}

TEST_P(EveryPublished, TheFactStandsAtItsDepth) {
  Parameters parameters = with({GetParam()}, 6000, 7);
  parameters["depths"] = std::vector<double>{0.02, 0.1, 0.25, 0.5, 0.72, 0.9, 0.98};
  parameters["residues"] = std::vector<int64_t>{0};
  for (const CaseSpec& spec : needle().plan(parameters)) {
    const Made made = make(parameters, spec);
    const double place =
        static_cast<double>(made.text.find(made.values[0])) / static_cast<double>(made.text.size());
    EXPECT_NEAR(place, std::stod(spec.tags.at("depth")), 0.03) << spec.id;
  }
}

INSTANTIATE_TEST_SUITE_P(All, EveryPublished, testing::ValuesIn(published_variants()));

TEST(Ruler, OneQueryForOneValueIsAskedInTheSingular) {
  const Parameters parameters = with({"niah_single_1"}, 600, 1);
  const Made made = make(parameters, needle().plan(parameters).at(0));
  EXPECT_THAT(made.text, StartsWith("A special magic number is hidden within the following text. "
                                    "Make sure to memorize it. I will quiz you about the number "
                                    "afterwards.\n"));
  EXPECT_TRUE(std::regex_search(
      made.text, std::regex("\nWhat is the special magic number for [a-z]+-[a-z]+ mentioned in the "
                            "provided text\\?$")));
  EXPECT_TRUE(std::regex_search(
      made.text, std::regex("\nOne of the special magic numbers for [a-z]+-[a-z]+ is: "
                            "[1-9][0-9]{6}\\.\n")));
  EXPECT_GT(occurrences(made.text,
                        "\nThe grass is green. The sky is blue. The sun is yellow. Here we go. "
                        "There and back again.\n"),
            10);
}

// Keys, values and queries as published, and what the question names.
TEST(Ruler, EveryTaskHidesAndAsksAsManyAsPublished) {
  struct Task {
    int statements, wanted;
    const char* value;
    const char* question;
  };
  const std::string number = "[0-9]{7}";
  const std::string uuid = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}";
  const std::map<std::string, Task> tasks = {
      {"niah_single_2", {1, 1, number.c_str(), "What is the special magic number for "}},
      {"niah_single_3", {1, 1, uuid.c_str(), "What is the special magic uuid for "}},
      {"niah_multikey_1", {4, 1, number.c_str(), "What is the special magic number for "}},
      {"niah_multikey_2", {-1, 1, number.c_str(), "What is the special magic number for "}},
      {"niah_multikey_3", {-1, 1, uuid.c_str(), "What is the special magic uuid for "}},
      {"niah_multivalue", {4, 4, number.c_str(), "What are all the special magic numbers for "}},
      {"niah_multiquery", {4, 4, number.c_str(), "What are all the special magic numbers for "}}};
  for (const auto& [variant, task] : tasks) {
    const Parameters parameters = with({variant}, 2000, 1);
    const Made made = make(parameters, needle().plan(parameters).at(0));
    const int statements = occurrences(made.text, "One of the special magic ");
    if (task.statements > 0) {
      EXPECT_EQ(statements, task.statements) << variant;
    } else {
      EXPECT_GT(statements, 100) << variant << ": the text is such statements";
    }
    EXPECT_EQ(std::ssize(made.values), task.wanted) << variant;
    for (const std::string& value : made.values) {
      EXPECT_TRUE(std::regex_match(value, std::regex(task.value))) << value;
    }
    EXPECT_THAT(made.text, HasSubstr(task.question));
    const size_t question = made.text.rfind(" for ");
    const std::string named = made.text.substr(question, made.text.find(" mentioned") - question);
    EXPECT_EQ(occurrences(named, ","), variant == "niah_multiquery" ? 3 : 0) << named;
    EXPECT_EQ(occurrences(named, ", and "), variant == "niah_multiquery" ? 1 : 0) << named;
  }
}

TEST(Ruler, EachKeyOfADistractorIsAnother) {
  const Parameters parameters = with({"niah_multikey_2"}, 4000, 1);
  const Made made = make(parameters, needle().plan(parameters).at(0));
  std::set<std::string> keys;
  const std::regex statement("numbers for ([a-z]+-[a-z]+) is: ([0-9]+)");
  int n = 0;
  for (std::sregex_iterator at(made.text.begin(), made.text.end(), statement), end; at != end;
       ++at, ++n) {
    keys.insert((*at)[1]);
  }
  EXPECT_EQ(std::ssize(keys), n);
}

TEST(Seed0, IsThePublishedFrame) {
  Parameters parameters = with({"seed0"}, 8192, 1);
  parameters["depths"] = std::vector<double>{0.72};
  const CaseSpec spec = needle().plan(parameters).at(0);
  const Made made = make(parameters, spec);
  ASSERT_TRUE(std::regex_match(made.values.at(0), std::regex("SPARK-NEEDLE-8192-[0-9A-F]{4}")));
  EXPECT_THAT(made.text,
              HasSubstr("\nIMPORTANT NEEDLE: The secret code is " + made.values[0] + ".\n"));
  const size_t begin = made.text.find("<context>\nBLOCK 000001: ");
  const size_t end = made.text.find("\n</context>\nWhat is the exact secret code?");
  ASSERT_NE(begin, std::string::npos);
  ASSERT_NE(end, std::string::npos);
  const auto at = static_cast<double>(made.text.find("IMPORTANT NEEDLE") - begin);
  EXPECT_NEAR(at / static_cast<double>(end - begin), 0.72, 0.002) << "of characters";
  EXPECT_TRUE(made.whole.cold) << "every prompt begins alike";
}

TEST(NeedleStreams, CasesBeginTogetherWithFactsOfTheirOwn) {
  Parameters parameters = with({"distractors", "niah_multivalue"}, 1024, 3);
  parameters["streams"] = std::vector<int64_t>{0, 1, 2};
  std::map<std::string, std::vector<CaseSpec>> groups;
  std::string last;
  int alone = 0;
  for (const CaseSpec& spec : needle().plan(parameters)) {
    if (spec.load.group.empty()) {
      ++alone;
      EXPECT_FALSE(spec.tags.contains("streams"));
      continue;
    }
    EXPECT_EQ(std::to_string(spec.load.at_once), spec.tags.at("streams"));
    if (spec.load.group != last) {
      EXPECT_FALSE(groups.contains(spec.load.group)) << "a group stands together";
    }
    groups[last = spec.load.group].push_back(spec);
  }
  EXPECT_EQ(alone, 6);
  EXPECT_EQ(groups.size(), 12u);
  std::set<std::string> values;
  for (const auto& [name, specs] : groups) {
    EXPECT_EQ(std::to_string(specs.size()), specs[0].tags.at("streams")) << name;
    for (const CaseSpec& spec : specs) {
      const Made made = make(parameters, spec);
      EXPECT_FALSE(made.whole.canaries.empty());
      for (const std::string& value : made.whole.canaries) {
        EXPECT_TRUE(values.insert(value).second) << value;
      }
    }
  }
}

TEST(NeedleStreams, AnswersOfFixedLengthAreNotEnded) {
  Parameters parameters = with({"single"}, 512, 1);
  const CaseSpec spec = needle().plan(parameters).at(0);
  EXPECT_FALSE(needle().build(parameters, spec, word_counter()).limits.ignore_end);
  parameters["answer_tokens"] = int64_t{256};
  const Case made = needle().build(parameters, spec, word_counter());
  EXPECT_TRUE(made.limits.ignore_end);
  EXPECT_EQ(made.limits.max_tokens, 256);
  EXPECT_TRUE(nlohmann::json::parse(made.expected).at("prolonged"));
}

TEST(NeedleFillers, ProseHasNeitherLogNorCode) {
  Parameters parameters = with({"single"}, 2048, 1);
  parameters["fillers"] = std::vector<std::string>{"mixed", "prose"};
  const auto cases = needle().plan(parameters);
  ASSERT_EQ(cases.size(), 2u);
  const auto lines_behind_salt = [&](const CaseSpec& spec) {
    const std::string text = make(parameters, spec).text;
    return text.substr(text.find('\n') + 1);
  };
  EXPECT_THAT(lines_behind_salt(cases[0]), HasSubstr("[INFO]"));
  EXPECT_THAT(lines_behind_salt(cases[1]), Not(HasSubstr("[INFO]")));
  EXPECT_THAT(lines_behind_salt(cases[1]), Not(HasSubstr("    ")));
  EXPECT_NE(cases[0].tags.at("filler"), cases[1].tags.at("filler"));
}

TEST(MostUnits, FindsTheLargestThatFitsInFewCounts) {
  for (const int64_t tokens : {1, 7, 100, 99999, 1234567}) {
    for (const double per_unit : {0.1, 0.37, 1.0, 41.3}) {
      int counts = 0;
      const auto count = [&](int64_t units) {
        ++counts;
        return static_cast<int64_t>(static_cast<double>(units) * per_unit);
      };
      const Units found = most_units(tokens, {0, 0}, 0.25, count);
      EXPECT_LE(count(found.units), tokens);
      EXPECT_TRUE(found.tokens == tokens || count(found.units + 1) > tokens)
          << tokens << " " << per_unit;
      EXPECT_LE(counts, 14) << tokens << " " << per_unit;
    }
  }
}

}  // namespace
}  // namespace ds4::suites

// Sizing and placement of the needle suite's prompts.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/base/error.h"
#include "suites/common/measured_lines.h"
#include "support.h"

namespace ds4::suites {
namespace {

const Suite& needle() {
  return *find_suite("needle");
}

Parameters with(std::vector<int64_t> lengths, std::vector<int64_t> samples) {
  Parameters parameters = default_parameters("needle");
  parameters["lengths"] = std::move(lengths);
  parameters["samples"] = std::move(samples);
  return parameters;
}

std::string text_of(const Case& made) {
  return made.conversation.messages.at(0).content;
}

std::string value_of(const Case& made) {
  return nlohmann::json::parse(made.expected).at("values").at(0);
}

// Share of the text's words that stand before the fact; the text is what lies between the two
// opening lines and the question, the fact itself not counted.
double measured_depth(const Case& made) {
  const std::string text = text_of(made);
  const size_t start = text.find('\n', text.find('\n') + 1) + 1;
  const size_t end = text.rfind("\n\n");
  const size_t at = text.find(value_of(made));
  const size_t fact = text.rfind('\n', at) + 1;
  const size_t after = text.find('\n', at) + 1;
  const auto before_words = count_words(std::string_view(text).substr(start, fact - start));
  const auto after_words =
      after > end ? 0 : count_words(std::string_view(text).substr(after, end - after));
  return static_cast<double>(before_words) / static_cast<double>(before_words + after_words);
}

TEST(Needle, LengthIsExactToTheTokenForEveryResidueAndDepth) {
  const Parameters parameters = with({300, 512, 1024, 2048}, {20});
  std::map<int64_t, std::set<int64_t>> residues;
  for (const CaseSpec& spec : needle().plan(parameters)) {
    const Case made = needle().build(parameters, spec, word_counter());
    const int64_t length = std::stoll(spec.tags.at("length"));
    const int64_t tokens = word_counter().count(made.conversation);
    EXPECT_LE(tokens, length);
    EXPECT_GT(tokens, length - 4);
    EXPECT_EQ(tokens % 4, std::stoll(spec.tags.at("residue"))) << spec.id;
    residues[length].insert(tokens % 4);
    EXPECT_EQ(nlohmann::json::parse(made.expected).at("asked_tokens"), tokens);
  }
  for (const auto& [length, seen] : residues) EXPECT_EQ(seen.size(), 4u) << length;
}

TEST(Needle, FactStandsAtItsDepthWithinOnePercent) {
  Parameters parameters = with({512, 2048, 8192}, {32});
  parameters["depths"] = std::vector<double>{0, 0.02, 0.1, 0.25, 0.5, 0.72, 0.98, 1};
  for (const CaseSpec& spec : needle().plan(parameters)) {
    const Case made = needle().build(parameters, spec, word_counter());
    EXPECT_NEAR(measured_depth(made), std::stod(spec.tags.at("depth")), 0.01) << spec.id;
    EXPECT_NEAR(nlohmann::json::parse(made.expected).at("fact_depth").get<double>(),
                measured_depth(made), 0.002);
  }
}

TEST(Needle, TwoHundredThousandTokensInUnderTwoSeconds) {
  const Parameters parameters = with({200000}, {1});
  const CaseSpec spec = needle().plan(parameters).at(0);
  int64_t counted_bytes = 0;
  TokenCounter counter = word_counter();
  counter.count = [&, count = counter.count](const Conversation& c) {
    counted_bytes += static_cast<int64_t>(joined_text(c).size());
    return count(c);
  };
  const auto start = std::chrono::steady_clock::now();
  const Case made = needle().build(parameters, spec, counter);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(word_counter().count(made.conversation), 200000);
  EXPECT_LT(elapsed.count(), 2.0);
  EXPECT_LT(counted_bytes, 4 * static_cast<int64_t>(text_of(made).size()));
}

TEST(Needle, TheFactStandsOnceAndEveryPromptBeginsDifferently) {
  Parameters parameters = with({512, 1024}, {20});
  parameters["variants"] = std::vector<std::string>{"distractors", "single", "digits"};
  std::set<std::string> first_lines;
  const auto cases = needle().plan(parameters);
  for (const CaseSpec& spec : cases) {
    const Case made = needle().build(parameters, spec, word_counter());
    const std::string text = text_of(made), value = value_of(made);
    EXPECT_NE(text.find(" is " + value + ".\n"), std::string::npos);
    EXPECT_EQ(text.find(value), text.rfind(value));
    const auto others = nlohmann::json::parse(made.expected).at("others");
    EXPECT_EQ(others.size(), spec.tags.at("variant") == "single" ? 0u : 3u);
    for (const std::string other : others) EXPECT_NE(text.find(other), std::string::npos);
    if (spec.tags.at("variant") == "digits") {
      EXPECT_EQ(value.find_first_not_of("0123456789"), std::string::npos);
    }
    first_lines.insert(text.substr(0, text.find('\n')));
  }
  EXPECT_EQ(first_lines.size(), cases.size());
}

TEST(Needle, SamplesSpreadOverDepthsAndResidues) {
  for (const auto& [samples, per_depth, per_residue] :
       {std::tuple(20, 4, 5), std::tuple(40, 8, 10)}) {
    std::map<std::string, int> depths, residues;
    std::set<std::pair<std::string, std::string>> cells;
    for (const CaseSpec& spec : needle().plan(with({512}, {samples}))) {
      ++depths[spec.tags.at("depth")];
      ++residues[spec.tags.at("residue")];
      cells.emplace(spec.tags.at("depth"), spec.tags.at("residue"));
    }
    EXPECT_EQ(cells.size(), 20u);
    for (const auto& [depth, n] : depths) EXPECT_EQ(n, per_depth) << depth;
    for (const auto& [residue, n] : residues) EXPECT_EQ(n, per_residue) << residue;
  }
}

TEST(Needle, GridIsCoveredWhenItsSidesShareAFactor) {
  Parameters parameters = with({512}, {16});
  parameters["depths"] = std::vector<double>{0, 0.25, 0.5, 1};
  std::set<std::pair<std::string, std::string>> cells;
  for (const CaseSpec& spec : needle().plan(parameters)) {
    cells.emplace(spec.tags.at("depth"), spec.tags.at("residue"));
  }
  EXPECT_EQ(cells.size(), 16u);
}

TEST(Needle, SamplesPerLength) {
  std::map<std::string, int> counts;
  for (const CaseSpec& spec : needle().plan(with({512, 200000}, {8, 2}))) {
    ++counts[spec.tags.at("length")];
  }
  EXPECT_EQ(counts, (std::map<std::string, int>{{"512", 8}, {"200000", 2}}));
}

TEST(Needle, AnEstimatingCounterIsMetApproximately) {
  const Parameters parameters = with({2048, 16384}, {4});
  for (const CaseSpec& spec : needle().plan(parameters)) {
    const Case made = needle().build(parameters, spec, byte_counter());
    const auto tokens = static_cast<double>(byte_counter().count(made.conversation));
    EXPECT_NEAR(tokens / std::stod(spec.tags.at("length")), 1, 0.01) << spec.id;
  }
}

// Merging a line's end with the next line's first word makes costs depend on the neighbours.
TEST(Needle, ATokenizerThatMergesAcrossLinesIsCorrectedFor) {
  TokenCounter counter = word_counter();
  counter.count = [](const Conversation& c) {
    const std::string text = joined_text(c);
    int64_t merged = 0;
    for (size_t at = text.find(".\nThe"); at != text.npos; at = text.find(".\nThe", at + 1))
      ++merged;
    return count_words(text) + 5 - merged;
  };
  const Parameters parameters = with({1024, 8192}, {8});
  for (const CaseSpec& spec : needle().plan(parameters)) {
    const Case made = needle().build(parameters, spec, counter);
    EXPECT_EQ(counter.count(made.conversation) % 4, std::stoll(spec.tags.at("residue"))) << spec.id;
    EXPECT_GT(counter.count(made.conversation), std::stoll(spec.tags.at("length")) - 4);
  }
}

TEST(Needle, TooShortALengthNamesTheSmallest) {
  Parameters parameters = with({96}, {1});
  parameters["facts"] = int64_t{16};
  const CaseSpec spec = needle().plan(parameters).at(0);
  try {
    needle().build(parameters, spec, word_counter());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kProfile);
    EXPECT_NE(std::string(error.what()).find("`lengths`"), std::string::npos);
    EXPECT_EQ(error.hint().find("Use 1"), 0u) << error.hint();  // 16 facts of about 9 words
    parameters["lengths"] = std::vector<int64_t>{std::stoll(error.hint().substr(4))};
  }
  EXPECT_NO_THROW(needle().build(parameters, needle().plan(parameters).at(0), word_counter()));
}

TEST(LineFiller, FillsExactlyAndUsesEveryLineBeforeRepeating) {
  LineFiller filler({{"a", 7}, {"b", 11}, {"c", 13}}, Rng(1));
  EXPECT_FALSE(filler.reachable(6));
  EXPECT_FALSE(filler.reachable(-7));
  EXPECT_TRUE(filler.reachable(0));
  EXPECT_TRUE(filler.reachable(18));
  EXPECT_EQ(filler.nearest_reachable(5), 7);
  EXPECT_EQ(filler.nearest_reachable(3), 0);
  EXPECT_TRUE(filler.reachable(1000003));
  const auto lines = filler.take(31);
  EXPECT_EQ((std::set<std::string>(lines.begin(), lines.end())),
            (std::set<std::string>{"a", "b", "c"}));
  EXPECT_TRUE(filler.take(0).empty());
}

TEST(LineFiller, OneCostReachesItsMultiplesOnly) {
  const LineFiller filler({{"a", 10}}, Rng(1));
  EXPECT_TRUE(filler.reachable(100000));
  EXPECT_FALSE(filler.reachable(100001));
  EXPECT_EQ(filler.nearest_reachable(100004), 100000);
}

}  // namespace
}  // namespace ds4::suites

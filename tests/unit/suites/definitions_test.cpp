// The texts of suites and shipped profiles against the code that reads them.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <utility>

#include "profiles/schema/profile.h"
#include "suites/bandwidth_roofline/probing.h"
#include "support.h"
#include "tests/support/source_dir.h"

namespace ds4::suites {
namespace {

TEST(Definitions, DefaultsMakeAPlan) {
  for (const Suite* suite : all_suites()) {
    const Definition& definition = profiles::suite_definition(*suite);
    EXPECT_EQ(definition.name, suite->name());
    EXPECT_FALSE(definition.description.empty());
    if (!can_make_cases(*suite)) continue;
    EXPECT_FALSE(suite->plan(definition.defaults).empty()) << suite->name();
  }
}

TEST(Definitions, ScoresGivenAreScoresDeclared) {
  for (const Suite* suite : all_suites()) {
    if (!can_make_cases(*suite)) continue;
    if (probes_machine(suite->name())) continue;  // its own test: no text is a figure
    const Definition& definition = profiles::suite_definition(*suite);
    const std::set<std::string> declared(definition.scores.begin(), definition.scores.end());
    std::set<std::string> given;
    std::vector<Parameters> forms = {definition.defaults};
    if (definition.defaults.contains("style")) {
      forms.push_back(definition.defaults);
      forms.back()["style"] = std::string("instructed");
    }
    for (const Parameters& parameters : forms) {
      for (const CaseSpec& spec : suite->plan(parameters)) {
        const Case made = suite->build(parameters, spec, word_counter());
        const Score score = suite->score(made.expected, content_answer("no"));
        for (const auto& [name, value] : score.values) given.insert(name);
        EXPECT_TRUE(score.values.contains(definition.scores.front())) << spec.id;
      }
    }
    EXPECT_EQ(given, declared) << suite->name();
  }
}

// What it measures, what it needs, how it differs from the published method: four cells, none
// empty.
TEST(Definitions, EverySuiteHasItsRowInTheTable) {
  std::ifstream file(test_support::source_dir() / "docs/suites.md");
  std::map<std::string, std::vector<std::string>> rows;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("| [`")) continue;
    std::vector<std::string> cells;
    std::string cell;
    for (size_t i = 1; i < line.size(); ++i) {
      if (line[i] != '|' || line[i - 1] == '\\') {
        cell += line[i];
        continue;
      }
      cells.push_back(std::exchange(cell, ""));
    }
    rows[line.substr(4, line.find('`', 4) - 4)] = cells;
  }
  for (const Suite* suite : all_suites()) {
    const std::string name(suite->name());
    ASSERT_TRUE(rows.contains(name)) << name << " has no row in docs/suites.md";
    EXPECT_EQ(rows[name].size(), 4u) << name;
    for (const std::string& cell : rows[name]) EXPECT_GT(cell.size(), 3u) << name;
    EXPECT_NE(rows[name][0].find("../suites/" + name + "/README.md"), std::string::npos) << name;
    const std::string headline = profiles::suite_definition(*suite).scores.front();
    EXPECT_EQ(rows[name].at(1).find("`" + headline + "`"), 1u) << name;
  }
}

TEST(ShippedProfiles, PlanWithinTheirBudget) {
  const std::string folder = test_support::source_dir().string() + "/profiles/";
  for (const auto& [name, budget] : {std::pair("tiny", 150000), std::pair("tiny-family", 110000),
                                     std::pair("tiny-needle", 5200000)}) {
    const profiles::Profile profile = profiles::load_profile(folder + name + ".toml");
    int64_t needle_tokens = 0;
    for (const auto& section : profile.suites) {
      const auto cases = find_suite(section.name)->plan(section.parameters);
      EXPECT_FALSE(cases.empty());
      for (const CaseSpec& spec : cases) {
        if (section.name != "needle") continue;
        const int64_t length = std::stoll(spec.tags.at("length"));
        needle_tokens += length;
        EXPECT_LE(length, profile.engine.context_length);
      }
    }
    EXPECT_LE(needle_tokens, budget) << name;
    EXPECT_EQ(profile.gates.empty(), name == std::string("tiny-family")) << "any result is one";
  }
}

}  // namespace
}  // namespace ds4::suites

// docs/outcomes.md against the table: a row for each class with its scope, effect, meaning and
// remedy, and a test of the real program that provokes it.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>
#include <sstream>

#include "engine/base/files.h"
#include "reports/outcomes/outcome.h"
#include "tests/support/source_dir.h"

namespace ds4::reports {
namespace {

using test_support::source_dir;

std::vector<std::string> fields(const std::string& line, const std::string& separator) {
  std::vector<std::string> out;
  size_t begin = 0;
  while (begin <= line.size()) {
    const size_t end = std::min(line.find(separator, begin), line.size());
    out.push_back(line.substr(begin, end - begin));
    begin = end + separator.size();
  }
  return out;
}

const char* word(Effect effect) {
  switch (effect) {
    case Effect::kMeasured:
      return "measured";
    case Effect::kInvalid:
      return "invalid";
    case Effect::kOpen:
      return "open";
    case Effect::kFailed:
      return "failed";
  }
  return "";
}

// "Suite.Name" and "Suite" of every TEST, TEST_F and TEST_P in the folder.
std::set<std::string> test_names(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(source_dir() / folder)) {
    if (entry.path().extension() != ".cpp") continue;
    std::istringstream in(read_file(entry.path()));
    std::string line;
    while (std::getline(in, line)) {
      if (!line.starts_with("TEST")) continue;
      const size_t open = line.find('('), comma = line.find(", "), close = line.find(')');
      if (open == line.npos || comma == line.npos || close == line.npos) continue;
      const std::string suite = line.substr(open + 1, comma - open - 1);
      names.insert(suite);
      names.insert(suite + "." + line.substr(comma + 2, close - comma - 2));
    }
  }
  return names;
}

TEST(OutcomeDocs, EveryClassHasItsRowAndATestThatProvokesIt) {
  const std::set<std::string> tests = test_names("tests"), end_to_end = test_names("tests/e2e");
  std::istringstream docs(read_file(source_dir() / "docs" / "outcomes.md"));
  std::map<std::string, std::vector<std::string>> rows;
  std::string line;
  while (std::getline(docs, line)) {
    auto cells = fields(line, " | ");
    if (cells.size() != 7 || !cells[0].starts_with("| `")) continue;
    cells[6] = cells[6].substr(0, cells[6].size() - 2);
    rows[cells[0].substr(3, cells[0].size() - 4)] = cells;
  }
  for (const OutcomeClass& known : outcome_classes()) {
    const auto row = rows.find(std::string(known.name));
    ASSERT_NE(row, rows.end()) << known.name;
    EXPECT_EQ(row->second[1], known.scope) << known.name;
    EXPECT_EQ(row->second[2], word(known.effect)) << known.name;
    EXPECT_EQ(row->second[3], known.meaning) << known.name;
    EXPECT_EQ(row->second[4], known.remedy) << known.name;
    EXPECT_FALSE(row->second[5].empty()) << known.name;
    for (const std::string& test : fields(row->second[6], ", ")) {
      EXPECT_TRUE(tests.contains(test)) << known.name << ": no test " << test;
    }
    EXPECT_TRUE(end_to_end.contains(fields(row->second[6], ", ")[0]))
        << known.name << ": the first test is none of the real program";
  }
  EXPECT_EQ(rows.size(), outcome_classes().size()) << "a class that is no more";
}

TEST(OutcomeClasses, AreDistinctAndAnswerForUnknownNames) {
  std::set<std::string_view> names;
  for (const OutcomeClass& known : outcome_classes()) {
    EXPECT_TRUE(names.insert(known.name).second) << known.name;
    EXPECT_EQ(&outcome_class(known.name), &known);
    EXPECT_FALSE(known.scope.empty() || known.meaning.empty() || known.remedy.empty());
  }
  EXPECT_EQ(outcome_class("").effect, Effect::kOpen);
  EXPECT_EQ(outcome_class("no such class").name, "not classified");
  EXPECT_TRUE(ran_out_of_memory("PREFILL_OOM"));
  EXPECT_FALSE(ran_out_of_memory("HANG"));
  EXPECT_TRUE(is_watchdog_kill("WATCHDOG_KILL{teardown}"));
}

}  // namespace
}  // namespace ds4::reports

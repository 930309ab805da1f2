// Puts every fault into an engine and lets the self-test find it: which checks fail, whether the
// right mechanism is named, and what the answers of the default checkpoint would have shown.
// docs/faults.md is the result; with DS4_UPDATE_GOLDEN=1 it is written, else compared.
#include <gmock/gmock.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <set>
#include <thread>

#include "tests/faults/answers.h"
#include "tests/faults/fault.h"
#include "tests/faults/table.h"
#include "tests/support/source_dir.h"

namespace ds4::faults {
namespace {

using ::testing::Contains;

/// Calls `work` for 0..n-1 on as many threads as there are processors.
void in_parallel(size_t n, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next = 0;
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i) {
    threads.emplace_back([&] {
      for (size_t at = next++; at < n; at = next++) work(at);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

bool updates() {
  return std::getenv("DS4_UPDATE_GOLDEN") != nullptr;
}

const std::filesystem::path& checkpoint() {
  static const std::filesystem::path path = test_support::source_dir() / "checkpoints/tiny";
  return path;
}

TEST(Faults, AnEngineMadeTheSameWayWithoutFaultPasses) {
  const SelftestReport report = run_selftest({}, faulty({}));
  for (const SelftestCheck& check : report.checks) {
    EXPECT_TRUE(check.passed) << check.name << " " << check.error << " " << check.note;
  }
}

TEST(Faults, EachIsCaughtAndNamed) {
  const std::vector<Fault> faults = all_faults();
  EXPECT_GE(faults.size(), 35u);
  std::vector<SelftestReport> reports(faults.size());
  in_parallel(faults.size(), [&](size_t i) { reports[i] = run_selftest({}, faulty(faults[i])); });
  for (size_t i = 0; i < faults.size(); ++i) {
    EXPECT_FALSE(reports[i].passed()) << faults[i].name << ": no check fails";
    EXPECT_THAT(reports[i].suspects, Contains(faults[i].mechanism)) << faults[i].name;
  }

  const std::string text = table(faults, reports, read_answers());
  const auto path = test_support::source_dir() / "docs/faults.md";
  if (updates()) {
    std::ofstream(path) << text;
    return;
  }
  std::ifstream file(path);
  const std::string committed{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(without_sizes(committed), without_sizes(text))
      << "docs/faults.md is not what this engine gives; write it with DS4_UPDATE_GOLDEN=1";
}

// The golden run beside a checkpoint sees the two faults that move its logits least
// (tests/golden/vectors/tiny/README.md), and answers do not show.
TEST(Faults, TheGoldenRunOfACheckpointShowsSmallOnes) {
  const std::set<std::string> few{"window one row too short", "one row fewer selected"};
  SelftestOptions options;
  options.checkpoint = checkpoint();
  for (const Fault& fault : all_faults()) {
    if (!few.contains(fault.name)) continue;
    for (const SelftestCheck& check : run_selftest(options, faulty(fault)).checks) {
      if (check.name == "checkpoint structure" || check.name == "checkpoint answer") {
        EXPECT_TRUE(check.passed) << fault.name;
      }
      if (check.name == "checkpoint logits") {
        EXPECT_FALSE(check.passed) << fault.name;
      }
    }
  }
}

TEST(Faults, NamesAreDistinct) {
  std::set<std::string> names;
  for (const Fault& fault : all_faults())
    EXPECT_TRUE(names.insert(fault.name).second) << fault.name;
}

// The answers of all faults take minutes; here only that a few faults still show, or do not.
TEST(Faults, AnswersShowWhatTheyDid) {
  const auto committed = read_answers();
  const std::set<std::string> few{"expert ids off by one", "window one row too short"};
  const AnswerCases cases(checkpoint());
  for (const Fault& fault : all_faults()) {
    if (few.contains(fault.name)) {
      ASSERT_TRUE(committed.contains(fault.name)) << fault.name;
      // What a broken engine says hangs on the last bit of a sum; whether it shows does not.
      EXPECT_EQ(cases.answer(faulty(fault)).changed == 0, committed.at(fault.name).changed == 0)
          << fault.name;
    }
  }
}

// Written by: DS4_UPDATE_GOLDEN=1 test_faults --gtest_also_run_disabled_tests
//             --gtest_filter=*WriteAnswers
TEST(Faults, DISABLED_WriteAnswers) {
  ASSERT_TRUE(updates()) << "set DS4_UPDATE_GOLDEN=1";
  const std::vector<Fault> faults = all_faults();
  const AnswerCases cases(checkpoint());
  std::vector<Answered> answers(faults.size());
  in_parallel(faults.size(), [&](size_t i) {
    answers[i] = cases.answer(faulty(faults[i]));
    std::cout << faults[i].name << ": " << answers[i].wrong << " wrong, " << answers[i].changed
              << " changed of " << answers[i].cases << std::endl;
  });
  std::map<std::string, Answered> by_name;
  for (size_t i = 0; i < faults.size(); ++i) by_name[faults[i].name] = answers[i];
  write_answers(by_name);
}

}  // namespace
}  // namespace ds4::faults

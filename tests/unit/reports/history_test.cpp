// A history over runs in a store: which runs belong to it, where it marks a change, what else was
// new there; and several runs beside the first.
#include "reports/history/history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "reports/compare/page.h"
#include "reports/pages/render.h"
#include "tests/unit/reports/example_data.h"

namespace ds4::reports {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kCases = 6;

class HistoryTest : public ::testing::Test {
 protected:
  void SetUp() override { store_ = Store::open(folder_.path() / "results.db"); }

  // A run of `kCases` answers whose tokens come `pace` s apart.
  ExampleRun run_of(int number, double pace) {
    ExampleRun run(kCases);
    const std::string digits = std::to_string(100 + number);
    run.data.run.id = "aaaa0" + digits + "-1111";
    run.data.run.resolved_profile = example_profile("");
    run.data.run.started_at = "2026-01-01T00:00:" + std::to_string(10 + number) + "Z";
    run.data.run.finished_at = run.data.run.started_at;
    run.launch("ok").sample("peak_memory", 1e9);
    for (int i = 0; i < kCases; ++i) {
      StoredAttempt& attempt = run.attempt(i, "correct", 1);
      attempt.events = {{0.5, 1}, {0.5 + pace, 1}, {0.5 + 2 * pace + 0.001 * i, 1}};
    }
    return run;
  }
  void add(const ExampleRun& run) { run.write(*store_); }

  const HistoryFigure& figure(const History& history, const std::string& name) {
    return *std::find_if(history.figures.begin(), history.figures.end(),
                         [&](const HistoryFigure& f) { return f.name == name; });
  }

  TemporaryFolder folder_;
  std::unique_ptr<Store> store_;
};

TEST_F(HistoryTest, MarksAStepAndSaysWhatWasNewThere) {
  for (int i = 0; i < 20; ++i) {
    ExampleRun run = run_of(i, (i < 12 ? 0.1 : 0.15) * (1 + 0.01 * (i * 7 % 5)));
    if (i >= 12) run.data.run.commit = "fedcba9876543210";
    add(run);
  }
  const History history = load_history(*store_, "latest", 30);
  ASSERT_EQ(history.runs.size(), 20u);
  EXPECT_EQ(history.n_tests, 4);  // exact, prefill and decode rate, peak memory
  const HistoryFigure& decode = figure(history, "decode_rate");
  ASSERT_EQ(decode.changes.size(), 1u);
  EXPECT_EQ(decode.changes[0].at, 12u);
  EXPECT_GT(decode.changes[0].before, decode.changes[0].after);
  EXPECT_LE(decode.changes[0].p, history.alpha / history.n_tests);
  EXPECT_EQ(history.n_changes(), 1);
  EXPECT_THAT(history.runs[12].changed,
              ElementsAre("commit 0123456789ab, modified -> fedcba987654, modified"));

  const Page page = history_page(history);
  EXPECT_EQ(page.head.word, "1 CHANGE");
  EXPECT_EQ(page.head.tone, Tone::kBad);
  EXPECT_THAT(page.head.next_step, HasSubstr("ds4-sweep compare aaaa0111 aaaa0112"));
  for (const std::string& text :
       {render_html(page), render_markdown(page), render_terminal(page, false)}) {
    EXPECT_THAT(text, HasSubstr("aaaa0112"));
    EXPECT_THAT(text, HasSubstr("commit 0123456789ab, modified"));
  }
  const auto json = nlohmann::json::parse(history_json(history));
  EXPECT_EQ(json.at("format"), "ds4-history-1");
  EXPECT_EQ(json.at("runs").size(), 20u);
  for (const auto& one : json.at("figures")) {
    EXPECT_EQ(one.at("values").size(), 20u);
    ASSERT_EQ(one.at("changes").size(), one.at("figure") == "decode_rate" ? 1u : 0u);
    if (one.at("changes").empty()) continue;
    EXPECT_EQ(one.at("changes")[0].at("first_run"), "aaaa0112-1111");
  }
}

TEST_F(HistoryTest, TakesTheLastFinishedRunsOfOneProfileAndMachine) {
  for (int i = 0; i < 8; ++i) {
    ExampleRun run = run_of(i, 0.1);
    if (i == 1) run.data.run.profile_name = "another";
    if (i == 2) run.data.run.machine = R"({"cpu":"another cpu","cores":2})";
    if (i == 3) run.data.run.finished_at = "";
    if (i == 4) run.data.run.machine = R"({"cpu":"a cpu","kernel":"7.0","gpu_driver":"580.95"})";
    add(run);
  }
  const auto ids = [&](const std::string& last, size_t n) {
    std::vector<std::string> found;
    for (const HistoryRun& run : load_history(*store_, last, n).runs) {
      found.push_back(run.run.id.substr(5, 3));
    }
    return found;
  };
  EXPECT_THAT(ids("latest", 30), ElementsAre("100", "104", "105", "106", "107"));
  EXPECT_THAT(ids("latest", 3), ElementsAre("105", "106", "107"));
  EXPECT_THAT(ids("aaaa0105", 2), ElementsAre("104", "105"));
  EXPECT_THAT(load_history(*store_, "latest", 30).runs[1].changed,
              ElementsAre("machine.cores 2 -> nothing", "machine.gpu_driver nothing -> 580.95",
                          "machine.kernel nothing -> 7.0"));
  EXPECT_EQ(history_page(load_history(*store_, "latest", 30)).head.word, "NO CHANGE");
  EXPECT_THROW(load_history(*store_, "aaaa0101", 30), Error);  // the only one of its profile
}

TEST_F(HistoryTest, KeepsTheRunsBesideTheirValuesWhereOneLacksAFigure) {
  for (int i = 0; i < 20; ++i) {
    ExampleRun run = run_of(i, (i < 12 ? 0.1 : 0.15) * (1 + 0.01 * (i * 7 % 5)));
    if (i == 3 || i == 12) {
      for (StoredAttempt& attempt : run.data.attempts) attempt.events.clear();
    }
    add(run);
  }
  const History history = load_history(*store_, "latest", 30);
  const HistoryFigure& decode = figure(history, "decode_rate");
  EXPECT_FALSE(decode.runs[3]);
  ASSERT_EQ(decode.changes.size(), 1u);
  EXPECT_EQ(decode.changes[0].at, 13u);  // the first that has a value of the new level
}

TEST_F(HistoryTest, ComparesSeveralRunsWithTheFirst) {
  std::vector<std::string> ids;
  for (int i = 0; i < 3; ++i) {
    ExampleRun run = run_of(i, i == 2 ? 0.3 : 0.1);
    run.data.run.checkpoint_path = "weights/k1" + std::to_string(4 + 2 * i) + "<0>";
    run.data.run.checkpoint_identity = "identity" + std::to_string(i);
    ids.push_back(run.data.run.id);
    add(run);
  }
  const std::vector<Comparison> pairs = compare_with_first(*store_, ids, {});
  ASSERT_EQ(pairs.size(), 2u);
  EXPECT_DOUBLE_EQ(pairs[0].settings.alpha, CompareSettings{}.alpha / 2);
  const Page page = comparison_page(pairs);
  ASSERT_EQ(page.sections[0].id, "run");
  const Table& differing = page.sections[0].tables[0];
  EXPECT_EQ(differing.caption, "Where the runs differ.");
  const auto identity =
      std::find_if(differing.rows.begin(), differing.rows.end(),
                   [](const auto& row) { return row[0].text == "checkpoint identity"; });
  ASSERT_NE(identity, differing.rows.end());
  EXPECT_EQ((*identity)[1].text, "identity0");
  EXPECT_EQ((*identity)[2].text, "identity1");
  EXPECT_EQ((*identity)[3].text, "identity2");
  EXPECT_EQ((*identity)[3].tone, Tone::kUnsure);
  ASSERT_EQ(page.sections[1].id, "headline");
  const Table& headline = page.sections[1].tables[0];
  ASSERT_EQ(headline.columns.size(), 7u);  // figure, cell, the first, and two of each other
  EXPECT_THAT(headline.columns[5].title, HasSubstr("k18<0>"));
  const auto decode = std::find_if(headline.rows.begin(), headline.rows.end(), [](const auto& row) {
    return row[0].text == "needle decode_rate";
  });
  ASSERT_NE(decode, headline.rows.end());
  EXPECT_THAT((*decode)[4].text, HasSubstr("+0.0 %"));
  EXPECT_THAT((*decode)[6].text, HasSubstr("-"));
  EXPECT_FALSE(page.sections[1].charts.empty());
  const std::string html = render_html(page);
  EXPECT_THAT(html, HasSubstr("k18&lt;0&gt;"));
  EXPECT_EQ(html.find("k18<0>"), std::string::npos);
  const auto json = nlohmann::json::parse(comparisons_json(pairs));
  EXPECT_EQ(json.at("comparisons").size(), 2u);
  EXPECT_EQ(json.at("comparisons")[1].at("format"), "ds4-compare-1");
}

}  // namespace
}  // namespace ds4::reports

// What the charts of a page hold, against values worked out by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reports/pages/build.h"
#include "tests/unit/reports/example_data.h"

namespace ds4::reports {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr double kGiB = 1024.0 * 1024 * 1024;

class ChartsTest : public testing::Test {
 protected:
  ChartsTest() { run_.data.cells.clear(); }

  CellRow& cell(const std::string& key, const std::string& checkpoint) {
    CellRow cell = ExampleRun(kCases).data.cells[0];
    cell.key = cell.label = key;
    cell.checkpoint_path = "checkpoints/" + checkpoint;
    cell.ordinal = static_cast<int>(run_.data.cells.size());
    run_.data.cells.push_back(cell);
    LaunchRow launch;
    launch.cell_key = key;
    launch.outcome = "ok";
    run_.data.launches.push_back(launch);
    return run_.data.cells.back();
  }

  // Answers every case, the first `n_wrong` wrongly, in `gib` of memory at `decode` tok/s.
  CellRow& measured(const std::string& key, const std::string& checkpoint, int n_wrong, double gib,
                    double decode) {
    CellRow& added = cell(key, checkpoint);
    run_.data.launch_samples.push_back({key, 1, {"peak_memory", gib * kGiB, 1, ""}});
    for (int i = 0; i < kCases; ++i) {
      StoredAttempt& attempt =
          i < n_wrong ? run_.attempt(i, "wrong", 0) : run_.attempt(i, "correct", 1);
      attempt.cell_key = key;
      attempt.launch = 1;
      attempt.events = {{0.5, 1}, {0.5 + 100 / decode, 100}};
    }
    return added;
  }

  // The section alone, from rows in memory.
  Section section(Section (*build)(PageContext&)) {
    const Judging judging = judging_of(run_.data.run);
    Page page;
    PageContext context{run_.data, judging, *store_, page};
    return build(context);
  }

  static const ChartSeries* series(const Chart& chart, const std::string& name) {
    for (const ChartSeries& s : chart.series) {
      if (s.name == name) return &s;
    }
    return nullptr;
  }

  static constexpr int kCases = 40;
  ExampleRun run_{kCases};
  TemporaryFolder folder_;
  std::unique_ptr<Store> store_ = Store::open(folder_.path() / "empty.db");
};

std::vector<std::pair<double, double>> places(const ChartSeries& series) {
  std::vector<std::pair<double, double>> all;
  for (const ChartPoint& point : series.points) all.emplace_back(point.x, point.y);
  return all;
}

// Quality 1, 0.975 (one of 40 cases: not separable), 0.5; "big" is beaten by "best" in all.
TEST_F(ChartsTest, TheTradeOffHasItsFrontiersAndSaysWhatCannotBeToldApart) {
  measured("best", "k180", 0, 8, 20);
  measured("near", "k160", 1, 6, 25);
  measured("small", "k144", 20, 4, 40);
  measured("big", "k144", 20, 9, 10);
  cell("dead", "k144");
  run_.data.launches.back().outcome = "WATCHDOG_KILL{load}";
  run_.data.run.machine = R"({"memory_bytes":17179869184})";
  for (CellRow& c : run_.data.cells) c.settings = R"({"profile":{"memory_floor":2147483648}})";
  const Section tradeoff = section(tradeoff_section);
  ASSERT_THAT(tradeoff.charts, SizeIs(2));
  const Chart& memory = tradeoff.charts[0];
  EXPECT_EQ(memory.id, "quality-memory");
  EXPECT_THAT(places(*series(memory, "frontier")),
              ElementsAre(std::pair(4., 0.5), std::pair(6., 0.975), std::pair(8., 1.)));
  EXPECT_EQ(memory.answer,
            "best has the best quality, 1.000; of the 3 others shown 2 are worse and 1 not "
            "separable from it. Of these and it near takes least: 6.00 GiB against 8.00 GiB. The "
            "budget is 14.0 GiB: the machine's memory less the 2.00 GiB that stay free.");
  ASSERT_THAT(memory.guides, SizeIs(1));
  EXPECT_TRUE(memory.guides[0].vertical);
  EXPECT_EQ(memory.guides[0].at, 14);
  const ChartSeries* k144 = series(memory, "k144");
  ASSERT_NE(k144, nullptr);
  EXPECT_THAT(places(*k144), ElementsAre(std::pair(4., 0.5), std::pair(9., 0.5)));
  EXPECT_FALSE(k144->points[0].faint);
  EXPECT_TRUE(k144->points[1].faint) << "dominated: present all the same";
  EXPECT_NEAR(k144->points[0].y_interval->lo, 0.352, 0.001) << "Wilson, 20 of 40";
  ASSERT_THAT(memory.table.rows, SizeIs(4));
  EXPECT_EQ(memory.table.rows[1][4].text, "-0.025, not separable");
  EXPECT_EQ(memory.table.rows[2][4].text, "-0.500");
  const Chart& decode = tradeoff.charts[1];
  EXPECT_THAT(places(*series(decode, "frontier")),
              ElementsAre(std::pair(40., 0.5), std::pair(25., 0.975), std::pair(20., 1.)));
  EXPECT_THAT(decode.answer, HasSubstr("near decodes fastest: 25.0 tok/s against 20.0 tok/s."));
  EXPECT_EQ(decode.y.min, memory.y.min) << "a shared axis";
  EXPECT_EQ(*decode.y.min, 0.3);
  EXPECT_THAT(tradeoff.paragraphs,
              testing::Contains(HasSubstr("quality: near; memory: small; decode: small")));
  EXPECT_THAT(tradeoff.paragraphs,
              testing::Contains(HasSubstr("did not answer all of their cases: 1.")));
}

TEST_F(ChartsTest, ATradeOffOfManyCellsShowsTheFrontierAndTheBest) {
  for (int i = 0; i < 30; ++i) {
    // Each less good and less small than the one before it: "c0" alone is on the frontiers, but
    // for the last, which is the fastest.
    measured("c" + std::to_string(i), "k" + std::to_string(i), i, 1 + i, i == 29 ? 99 : 50 - i);
  }
  const Section tradeoff = section(tradeoff_section);
  ASSERT_THAT(tradeoff.charts, SizeIs(2));
  EXPECT_THAT(tradeoff.charts[0].table.rows, SizeIs(13));
  EXPECT_THAT(tradeoff.charts[0].table.caption, HasSubstr("17 more cells"));
}

TEST_F(ChartsTest, OneCellHasNoTradeOff) {
  measured("best", "k180", 0, 8, 20);
  EXPECT_THAT(section(tradeoff_section).charts, IsEmpty());
}

// A cell that was not asked a suite has no quality to compare, rather than a better one.
TEST_F(ChartsTest, QualityIsOfTheSuitesThatEveryCompleteCellAnswered) {
  measured("a", "k180", 0, 8, 20);
  measured("b", "k160", 10, 6, 25);
  StoredAttempt& more = run_.attempt(0, "wrong", 0);
  more.cell_key = "b";
  more.suite = "arithmetic";
  run_.data.run.resolved_profile.replace(
      run_.data.run.resolved_profile.find(R"("suites":[)"), 10,
      R"("suites":[{"name":"arithmetic","version":1,"scores":["exact"]},)");
  const Section tradeoff = section(tradeoff_section);
  ASSERT_THAT(tradeoff.charts, SizeIs(2));
  EXPECT_EQ(tradeoff.charts[0].table.rows[1][1].text, "0.750") << "30 of 40 needle cases";
  EXPECT_THAT(tradeoff.charts[0].table.caption, HasSubstr("all cases of needle;"));
}

// First tokens after 0.1, 0.2, ... 4 s; pieces of one token after 10 ms and of three after 90 ms.
TEST_F(ChartsTest, LatencyIsADistributionOverAnswersAndOverTokens) {
  measured("a", "k180", 0, 8, 20);
  for (size_t i = 0; i < kCases; ++i) {
    StoredAttempt& attempt = run_.data.attempts[i];
    attempt.first_token_s = 0.1 * static_cast<double>(i + 1);
    attempt.events = {{0.5, 1}, {0.51, 1}, {0.6, 3}};
  }
  const Section speed = section(speed_section);
  const auto chart = [&](const std::string& id) {
    return *std::find_if(speed.charts.begin(), speed.charts.end(),
                         [&](const Chart& c) { return c.id == id; });
  };
  const Chart first = chart("latency-ttft");
  ASSERT_THAT(first.series, SizeIs(1));
  ASSERT_THAT(first.series[0].points, SizeIs(40));
  EXPECT_DOUBLE_EQ(first.series[0].points[9].x, 1.0);
  EXPECT_DOUBLE_EQ(first.series[0].points[9].y, 0.25) << "10 of 40 answers within a second";
  EXPECT_EQ(first.series[0].points.back().y, 1);
  EXPECT_TRUE(first.x.log);
  EXPECT_EQ(first.table.rows[0][3].text, "2.0 s") << "2.05, the median of 40";
  EXPECT_THAT(first.answer, HasSubstr("within 2.0 s, 95 of 100 within 3.8 s"));
  const Chart tokens = chart("latency-itl");
  EXPECT_EQ(tokens.table.rows[0][1].text, "160") << "four tokens behind the first of each answer";
  EXPECT_EQ(tokens.table.rows[0][2].text, "10.0 ms");
  EXPECT_EQ(tokens.table.rows[0][3].text, "30.0 ms");
  EXPECT_THAT(tokens.series[0].points, SizeIs(100)) << "thinned by rank";
}

TEST_F(ChartsTest, LatencyOfManyCellsIsThatOfTheQuickest) {
  for (int i = 0; i < 10; ++i) measured("c" + std::to_string(i), "k", 0, 1, 100 - i);
  for (StoredAttempt& a : run_.data.attempts) a.first_token_s = a.cell_key == "c9" ? 0.1 : 1;
  const Section speed = section(speed_section);
  const auto first = std::find_if(speed.charts.begin(), speed.charts.end(),
                                  [](const Chart& c) { return c.id == "latency-ttft"; });
  ASSERT_THAT(first->series, SizeIs(8));
  EXPECT_EQ(first->series[0].name, "c9");
  EXPECT_THAT(first->table.caption, HasSubstr("8 of 10"));
}

}  // namespace
}  // namespace ds4::reports

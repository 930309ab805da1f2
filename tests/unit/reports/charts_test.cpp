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
    page_ = {};
    PageContext context{run_.data, judging, *store_, page_};
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
  Page page_;  // of the section built last
};

std::vector<std::pair<double, double>> places(const ChartSeries& series) {
  std::vector<std::pair<double, double>> all;
  for (const ChartPoint& point : series.points) all.emplace_back(point.x, point.y);
  return all;
}

// Quality 1, 0.975 (one of 40 cases: not separable), 0.5; "big" is beaten by "best" in all.
TEST_F(ChartsTest, ColourIsOfTheCheckpointAsTheProfileNamesIt) {
  cell("a", "tiny");
  EXPECT_EQ(chart_key(run_.data, run_.data.cells[0]), "a") << "one checkpoint: the cell";
  cell("b", "tiny-k20-0123456789abcdef").settings =
      R"({"profile":{"checkpoint":"../checkpoints/tiny:k20"}})";
  EXPECT_EQ(chart_key(run_.data, run_.data.cells[0]), "tiny") << "nothing is said: its folder";
  EXPECT_EQ(chart_key(run_.data, run_.data.cells[1]), "tiny:k20");
}

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
  EXPECT_EQ(
      memory.answer,
      "best has the best quality, 1.000; others shown: 2 worse on the same cases, 1 "
      "not separable from it. Of these and it near takes least: 6.00 GiB against 8.00 GiB. The "
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
  EXPECT_THAT(page_.head.deploy,
              ElementsAre("Which cell to deploy depends on what matters most.",
                          "Quality: near (quality: best is best; 1 shown to be worse, 1 not "
                          "separable; memory: best is near; 1 shown to be worse).",
                          "Memory: small (memory: best is small; 2 shown to be worse).",
                          "Decode: small (decode: best is small; 2 shown to be worse)."));
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

TEST_F(ChartsTest, EqualQualityHasAnAxisWithRoomAndIsCalledEqual) {
  measured("a", "k180", 0, 8, 20);
  measured("b", "k160", 0, 6, 25);
  const Section tradeoff = section(tradeoff_section);
  for (const Chart& chart : tradeoff.charts) {
    EXPECT_EQ(*chart.y.min, 0.9);
    EXPECT_EQ(*chart.y.max, 1);
    EXPECT_THAT(chart.answer, HasSubstr("a has the best quality, 1.000 (and 1 more have it)"));
  }
  EXPECT_THAT(page_.head.deploy.front(), AllOf(HasSubstr("Deploy b: it is the pick whether"),
                                               HasSubstr("1 on the frontier of quality")));
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

// Lengths 512 and 2048 at depths 0.10 and 0.50: answered, timed out, killed in, never asked.
TEST_F(ChartsTest, HeatMapsTellWhatWasNotRunFromZero) {
  std::string& profile = run_.data.run.resolved_profile;
  const std::string axis = "engine.kv_dtype";
  profile.replace(profile.find(axis), axis.size(), "checkpoint");
  for (const char* key : {"k180", "k160"}) {
    CellRow& added = cell(key, key);
    added.settings = key == std::string("k180") ? R"({"choice":[0]})" : R"({"choice":[1]})";
    added.cases.clear();
    int i = 0;
    for (const char* length : {"512", "2048"}) {
      for (const char* depth : {"0.10", "0.50"}) {
        added.cases.push_back(
            {"needle", "c" + std::to_string(i++), {{"length", length}, {"depth", depth}}});
      }
    }
    for (i = 0; i < 2; ++i) {
      const bool right = i == 0 || key == std::string("k160");
      StoredAttempt& attempt = run_.attempt(i, right ? "correct" : "wrong", right);
      attempt.cell_key = key;
      attempt.tags = added.cases[static_cast<size_t>(i)].tags;
    }
  }
  StoredAttempt& late = run_.attempt(2, "");
  late.cell_key = "k180";
  late.status = "error";
  late.outcome = "TIMEOUT";
  late.tags = run_.data.cells[0].cases[2].tags;
  run_.data.launches[1].outcome = "WATCHDOG_KILL{prefill}";
  run_.data.launches[1].phase = "prefill: needle/c2";
  const Section maps = section(long_context_section);
  ASSERT_THAT(maps.tables, SizeIs(3));
  const auto texts = [](const Table& table, size_t row) {
    std::vector<std::string> all;
    for (const TableCell& cell : table.rows[row]) all.push_back(cell.text);
    return all;
  };
  EXPECT_THAT(texts(maps.tables[0], 0), ElementsAre("0.10", "1.000 (1)", "◷ timed out"));
  EXPECT_THAT(texts(maps.tables[0], 1), ElementsAre("0.50", "0.000 (1)", "not run"));
  EXPECT_THAT(texts(maps.tables[1], 0),
              ElementsAre("0.10", "1.000 (1)", "✗ WATCHDOG_KILL{prefill}"));
  EXPECT_EQ(maps.tables[0].rows[1][1].heat, 0.0);
  EXPECT_FALSE(maps.tables[0].rows[1][2].heat) << "not the colour of zero";
  const Table& difference = maps.tables[2];
  EXPECT_TRUE(difference.diverging);
  EXPECT_THAT(difference.caption, HasSubstr("k160 less k180"));
  EXPECT_THAT(texts(difference, 1), ElementsAre("0.50", "+1.000", "–"));
  EXPECT_EQ(difference.rows[1][1].heat, 1.0);
}

TEST_F(ChartsTest, QualityShowsBothFiltersAndWhereCheckpointsDisagree) {
  measured("k180", "k180", 1, 8, 20);
  measured("k160", "k160", 30, 6, 25);
  std::string& profile = run_.data.run.resolved_profile;
  profile.replace(profile.find(R"(["exact","near"])"), 16, R"(["strict","flexible"])");
  for (StoredAttempt& attempt : run_.data.attempts) {
    attempt.score->values = {{"strict", attempt.score->grade == "correct"}, {"flexible", 1}};
  }
  run_.write(*store_);  // the items that open are read from there
  const Section quality = section(quality_section);
  ASSERT_THAT(quality.charts, SizeIs(1));
  const Chart& chart = quality.charts[0];
  EXPECT_EQ(chart.answer,
            "k180 has the best strict, 0.975; others shown: 1 worse on the same cases, 0 not "
            "separable from it.");
  EXPECT_THAT(chart.y.categories, ElementsAre("k180", "k160"));
  EXPECT_THAT(chart.series, SizeIs(4)) << "two filters of two checkpoints";
  EXPECT_THAT(places(*series(chart, "k160, strict")), ElementsAre(std::pair(0.25, 1.)));
  EXPECT_THAT(places(*series(chart, "k160, flexible")), ElementsAre(std::pair(1., 1.)));
  EXPECT_EQ(series(chart, "k160, strict")->key, series(chart, "k160, flexible")->key);
  EXPECT_THAT(chart.table.rows, SizeIs(4));
  const auto disagreements =
      std::find_if(quality.tables.begin(), quality.tables.end(), [](const Table& table) {
        return table.caption.starts_with("Cases on which checkpoints disagree");
      });
  ASSERT_NE(disagreements, quality.tables.end());
  // Of 29 cases that k180 alone has right, 20 are shown; both have c0 wrong.
  EXPECT_THAT(disagreements->rows, SizeIs(20));
  EXPECT_THAT(disagreements->caption, HasSubstr("20 of 29"));
  EXPECT_EQ(disagreements->rows[0][1].text, "c1");
  EXPECT_EQ(disagreements->rows[0][2].text, "✓ correct");
  EXPECT_EQ(disagreements->rows[0][3].text, "✗ wrong");
}

TEST_F(ChartsTest, SpeculationIsDrawnByPlaceAndByFamily) {
  measured("d2", "k180", 0, 8, 20);
  for (size_t i = 0; i < kCases; ++i) {
    StoredAttempt& attempt = run_.data.attempts[i];
    attempt.tags = {{"family", i % 2 == 0 ? "code" : "prose"}, {"length", "512"}};
    attempt.samples = {{"acceptance_length", i % 2 == 0 ? 2.5 : 1.5, 1, ""},
                       {"acceptance_rate_1", 0.75, 1, ""},
                       {"acceptance_rate_2", 0.5, 1, ""}};
  }
  const Section speed = section(speed_section);
  const auto chart = [&](const std::string& id) {
    return *std::find_if(speed.charts.begin(), speed.charts.end(),
                         [&](const Chart& c) { return c.id == id; });
  };
  const Chart place = chart("acceptance-place");
  EXPECT_THAT(places(place.series.at(0)), ElementsAre(std::pair(1., 0.75), std::pair(2., 0.5)));
  EXPECT_EQ(place.answer, "d2 keeps 0.750 of its first drafts and 0.500 of those at place 2.");
  const Chart family = chart("acceptance-family");
  EXPECT_THAT(family.y.categories, ElementsAre("code", "prose"));
  EXPECT_THAT(places(family.series.at(0)), ElementsAre(std::pair(2.5, 0.), std::pair(1.5, 1.)));
  EXPECT_THAT(family.answer, HasSubstr("most on code, 2.50 tokens in d2"));
}

// Twice as fast at 500 tokens, equally fast at 4000.
TEST_F(ChartsTest, PayoffIsARatioWithAGuideAtOne) {
  for (const char* key : {"plain", "drafts"}) {
    const bool drafts = key == std::string("drafts");
    CellRow& added = measured(key, "k180", 0, 8, 20);
    added.settings = drafts ? R"({"choice":[1]})" : R"({"choice":[0]})";
    for (StoredAttempt& attempt : run_.data.attempts) {
      if (attempt.cell_key != key) continue;
      const bool is_long = attempt.id % 2 == 0;
      attempt.tags = {{"family", "code"}, {"length", is_long ? "4096" : "512"}};
      attempt.prompt_tokens = is_long ? 4000 : 500;
      attempt.events = {{0.5, 1}, {drafts && !is_long ? 1.5 : 2.5, 20}};
    }
  }
  const Section twins = section(twins_section);
  ASSERT_THAT(twins.charts, SizeIs(1));
  EXPECT_THAT(places(twins.charts[0].series.at(0)),
              ElementsAre(std::pair(500., 2.), std::pair(4000., 1.)));
  ASSERT_THAT(twins.charts[0].guides, SizeIs(1));
  EXPECT_EQ(twins.charts[0].guides[0].at, 1);
  EXPECT_THAT(twins.charts[0].answer, HasSubstr("drafts (needle)"));
}

// A machine of 16 GiB, 4 in use by others; weights of 6 and a cache of 2 were planned.
TEST_F(ChartsTest, TheCourseOfMemoryHasOwnersPhasesFloorAndTheKill) {
  measured("fine", "k180", 0, 8, 20);
  measured("killed", "k160", 0, 8, 20);
  run_.data.run.machine = R"({"memory_bytes":17179869184})";
  LaunchRow& launch = run_.data.launches[1];
  launch.outcome = "WATCHDOG_KILL{decode}";
  launch.guard = R"({"action":"hard","time_s":3.5,"lowest_bytes":1073741824,)"
                 R"("over_bytes":1073741824})";
  const auto add = [&](const char* metric, double gib, double time, const char* phase) {
    run_.data.launch_samples.push_back({"killed", 1, {metric, gib * kGiB, time, phase}});
  };
  add("planned_memory", 8, 0, "");
  add("planned_memory", 6, 0, "weights");
  add("planned_memory", 2, 0, "raw KV");
  add("course_floor", 2, 0, "load");
  const char* phases[] = {"load", "load", "prefill", "decode"};
  const double used[] = {4, 9, 11, 15};
  for (int i = 0; i < 4; ++i) add("course_machine_memory", used[i], i, phases[i]);
  const Section memory = section(memory_section);
  ASSERT_THAT(memory.charts, SizeIs(1)) << "of `fine` no course is stored";
  const Chart& chart = memory.charts[0];
  ASSERT_THAT(chart.series, SizeIs(5));
  EXPECT_THAT(
      places(*series(chart, "in use before")),
      ElementsAre(std::pair(0., 4.), std::pair(1., 4.), std::pair(2., 4.), std::pair(3., 4.)));
  EXPECT_THAT(places(*series(chart, "weights")), ElementsAre(std::pair(0., 0.), std::pair(1., 5.),
                                                             std::pair(2., 6.), std::pair(3., 6.)));
  EXPECT_THAT(places(*series(chart, "raw KV")), ElementsAre(std::pair(0., 0.), std::pair(1., 0.),
                                                            std::pair(2., 1.), std::pair(3., 2.)));
  EXPECT_EQ(series(chart, "unattributed")->points[3].y, 3);
  const ChartSeries& cross = chart.series.back();
  EXPECT_EQ(cross.form, ChartForm::kCrosses);
  EXPECT_EQ(cross.points[0].label, "killed, 1.00 GiB over the limit");
  EXPECT_THAT(places(cross), ElementsAre(std::pair(3.5, 15.)));
  ASSERT_THAT(chart.bands, SizeIs(3));
  EXPECT_EQ(chart.bands[0].label, "load");
  EXPECT_EQ(chart.bands[0].to, 2);
  ASSERT_THAT(chart.guides, SizeIs(2));
  EXPECT_EQ(chart.guides[0].at, 16);
  EXPECT_EQ(chart.guides[1].at, 14);
  EXPECT_EQ(chart.guides[1].tone, Tone::kBad);
  EXPECT_EQ(chart.guides[1].label, "guard: 2.00 GiB stay free");
  EXPECT_THAT(chart.answer, HasSubstr("1.00 GiB beyond the guard's floor of 2.00 GiB"));
  const auto owners = std::find_if(memory.tables.begin(), memory.tables.end(), [](const Table& t) {
    return t.caption.starts_with("What the engine planned");
  });
  ASSERT_NE(owners, memory.tables.end());
  std::vector<std::string> row;
  for (const TableCell& cell : owners->rows.at(0)) row.push_back(cell.text);
  EXPECT_THAT(row, ElementsAre("killed", "6.00 GiB", "2.00 GiB", "8.00 GiB", "8.00 GiB", "1.00"));
  // The readings are no column of the table of every cell.
  for (const TableColumn& column : memory.tables[0].columns) {
    EXPECT_THAT(column.title, Not(HasSubstr("course")));
  }
}

}  // namespace
}  // namespace ds4::reports

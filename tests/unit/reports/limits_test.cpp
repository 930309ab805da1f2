// The page of a large run: under 2 MB whatever it holds, what failed first, and honest about what
// is left out.
#include "reports/pages/limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "reports/pages/render.h"
#include "tests/unit/reports/example_data.h"

namespace ds4::reports {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

constexpr size_t kPageBytes = 2'000'000;

Table table_of(size_t n_rows, const std::string& text) {
  Table table{"Many rows.", {{"name"}, {"value", true}}, {}};
  for (size_t i = 0; i < n_rows; ++i) table.rows.push_back({{std::to_string(i)}, {text}});
  return table;
}

const Section& section_of(const Page& page, const std::string& id) {
  return *std::find_if(page.sections.begin(), page.sections.end(),
                       [&](const Section& section) { return section.id == id; });
}

TEST(Limits, LeaveAPageAloneThatFits) {
  Page page;
  page.sections.push_back({"a", "A", {"one"}, {table_of(1500, "x")}, {{"item"}}});
  Page limited = page;
  limit_page(limited, "more");
  EXPECT_EQ(render_html(limited), render_html(page));
}

Page page_too_large_in_all() {
  const std::string hostile = "<&\"'>" + std::string(300, '<');
  Page page;
  for (const char* id : {"a", "b", "c"}) {
    Section section{id, "Title", {}, {}, {}};
    for (int i = 0; i < 300; ++i) section.tables.push_back(table_of(60, hostile));
    section.tables.push_back(table_of(20'000, hostile));
    section.tables.push_back(table_of(3, std::string(1'000'000, '&')));
    section.paragraphs.assign(3000, hostile);
    section.items.assign(400, {"item", Tone::kBad, {{"log", std::string(4000, '"')}}});
    Chart chart;
    chart.id = id;
    for (int i = 0; i < 500; ++i) {
      ChartSeries series{"cell " + std::to_string(i), "k"};
      for (int x = 0; x < 200; ++x) {
        series.points.push_back({static_cast<double>(x), 0.1 * x});
        series.points.back().note = hostile;
      }
      chart.series.push_back(std::move(series));
    }
    section.charts.push_back(std::move(chart));
    page.sections.push_back(std::move(section));
  }
  return page;
}

TEST(Limits, KeepTheWorstOfAPageUnderTwoMegabytes) {
  Page page = page_too_large_in_all();
  limit_page(page, "ds4-sweep report x --full");
  EXPECT_LT(render_html(page).size(), kPageBytes);
}

TEST(Limits, OfSectionsAsTheyAreMadeChangeNothing) {
  Page at_once = page_too_large_in_all();
  at_once.sections.insert(at_once.sections.begin() + 1,
                          {"fits", "Fits", {}, {table_of(9, "x")}, {}});
  Page by_section = at_once;
  for (Section& section : by_section.sections) limit_section(section, "more");
  EXPECT_LE(by_section.sections[0].tables.back().rows.size(), 2000u);
  EXPECT_FALSE(by_section.sections[1].cut);
  limit_page(at_once, "more");
  limit_page(by_section, "more");
  EXPECT_EQ(render_html(by_section), render_html(at_once));
}

TEST(Limits, ShowWhatFailedFirstAndSayWhatIsLeftOut) {
  Page page;
  Table table = table_of(40'000, "fine");
  table.rows[39'000][1].tone = Tone::kUnsure;
  table.rows[39'999][1].tone = Tone::kBad;
  page.sections.push_back({"a", "A", {}, {table}, {}});
  limit_page(page, "ds4-sweep report x --full");
  const Table& cut = page.sections[0].tables[0];
  ASSERT_GE(cut.rows.size(), 1000u);
  ASSERT_LT(cut.rows.size(), 40'000u);
  EXPECT_EQ(cut.rows[0][0].text, "39999");
  EXPECT_EQ(cut.rows[1][0].text, "39000");
  EXPECT_EQ(cut.rows[2][0].text, "0");
  EXPECT_THAT(cut.caption, HasSubstr(" of 40,000 rows, what failed first"));
  EXPECT_THAT(cut.caption, HasSubstr("`ds4-sweep report x --full` shows all."));
}

ChartSeries series_of(const std::string& key, size_t n_points, bool faint) {
  ChartSeries series{key, key, ChartForm::kPoints};
  for (size_t i = 0; i < n_points; ++i) {
    series.points.push_back({static_cast<double>(i), 1.0});
    series.points.back().faint = faint;
  }
  return series;
}

// A checkpoint that others beat, and lines with the single answers behind each.
Page page_with_faint_marks(size_t n_lines, size_t n_points) {
  Chart chart;
  chart.id = "chart";
  chart.series.push_back(series_of("dominated", n_points, true));
  for (size_t i = 0; i < n_lines; ++i) {
    for (const bool faint : {false, true}) {
      chart.series.push_back(series_of("K" + std::to_string(i), n_points, faint));
    }
  }
  Page page;
  page.sections.push_back({"a", "A", {}, {}, {}, {chart}});
  return page;
}

void expect_only_raw_values_gone(Page page, size_t n_lines) {
  limit_page(page, "more");
  const std::vector<ChartSeries>& series = page.sections[0].charts[0].series;
  ASSERT_EQ(series.size(), 1 + n_lines);
  EXPECT_EQ(series[0].key, "dominated");
  EXPECT_FALSE(series[0].points.empty());
  for (size_t i = 1; i < series.size(); ++i) EXPECT_FALSE(series[i].points[0].faint);
}

TEST(Limits, FaintMarksGoOnlyWhereALineStandsForThem) {
  expect_only_raw_values_gone(page_with_faint_marks(kSeries / 2, 1), kSeries / 2);
  expect_only_raw_values_gone(page_with_faint_marks(3, 5000), 3);  // too many points, not series
}

class LongAnswersTest : public ::testing::Test {
 protected:
  static constexpr int kCases = 120;

  void SetUp() override {
    run_.launch("ok");
    const std::string text = "head " + std::string(20'000, '<') + " tail";
    for (int i = 0; i < kCases; ++i) {
      const bool wrong = i % 2 == 1;
      StoredAttempt& attempt = run_.attempt(i, wrong ? "wrong" : "correct", wrong ? 0 : 1);
      attempt.text = std::to_string(i) + text;
      attempt.prompt = "prompt " + std::to_string(i) + text;
    }
    store_ = Store::open(folder_.path() / "results.db");
    run_.write(*store_);
  }
  const std::vector<Item>& items(const Page& page) { return section_of(page, "quality").items; }

  ExampleRun run_{kCases};
  TemporaryFolder folder_;
  std::unique_ptr<Store> store_;
};

TEST_F(LongAnswersTest, OpenAsFarAsThePageHasRoom) {
  const Page page = build_page(*store_, run_.data.run.id);
  EXPECT_LT(render_html(page).size(), kPageBytes);
  const std::vector<Item>& shown = items(page);
  ASSERT_GE(shown.size(), 20u);
  size_t bytes = 0;
  for (const Item& item : shown) {
    EXPECT_THAT(item.title, HasSubstr("wrong"));  // there is no room for the correct ones
    bytes += html_bytes(item);
    ASSERT_EQ(item.parts[0].label, "prompt");
    EXPECT_LT(item.parts[0].text.size(), kTextBytes + 100);
    EXPECT_THAT(item.parts[0].text, HasSubstr("bytes left out"));
    EXPECT_THAT(item.parts[0].text, EndsWith(" tail"));
    EXPECT_EQ(item.parts.back().label, "all of it");
  }
  EXPECT_EQ(shown[0].parts.back().text, "ds4-sweep show aaaaaaaa needle/c1 --full");
  EXPECT_LE(bytes, kAnswersBytes);
  EXPECT_THAT(section_of(page, "quality").paragraphs.back(),
              HasSubstr(std::to_string(shown.size()) + " of 120 answers open below"));
}

TEST_F(LongAnswersTest, OpenWhollyInTheFullPage) {
  const Page page = build_page(*store_, run_.data.run.id, {"", true});
  const std::vector<Item>& shown = items(page);
  ASSERT_EQ(shown.size(), static_cast<size_t>(kCases));
  EXPECT_THAT(shown[0].title, HasSubstr("wrong"));
  EXPECT_GT(shown[0].parts[0].text.size(), 20'000u);
  for (const Item::Part& part : shown[0].parts) EXPECT_NE(part.label, "all of it");
}

}  // namespace
}  // namespace ds4::reports

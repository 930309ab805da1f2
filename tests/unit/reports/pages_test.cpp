// Pages built from a store and rendered in every format, with hostile model output in them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "reports/pages/page.h"
#include "reports/pages/render.h"
#include "tests/unit/reports/example_data.h"

namespace ds4::reports {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// Cuts the program's own scripts out of a page: what is left is what a page says.
std::vector<std::string> take_scripts(std::string& html) {
  std::vector<std::string> scripts;
  for (size_t at; (at = html.find("<script>")) != std::string::npos;) {
    const size_t end = html.find("</script>", at);
    scripts.push_back(html.substr(at + 8, end - at - 8));
    html.erase(at, end - at + 9);
  }
  return scripts;
}

class PagesTest : public testing::Test {
 protected:
  // A run with a gate kept, a wrong answer, an invalid one and hostile texts everywhere.
  void SetUp() override {
    run_.launch("ok").sample("peak_memory", 1e9).sample("load_time", 0.25);
    for (int i = 0; i < 3; ++i) run_.attempt(i, "correct", 1);
    StoredAttempt& wrong = run_.attempt(3, "wrong", 0);
    wrong.text = "</script><script>alert(1)</script>\033[31mred \xff|" + std::string(9000, 'z');
    wrong.score->extracted = "<b>|`";
    wrong.score->explanation = "not \"equal\"\033]0;title\a";
    wrong.tags = {{"length", "2048"}, {"depth", "0.50"}};
    run_.attempt(4, "invalid");
    run_.data.run.resolved_profile = example_profile(example_gate(R"("min":0.5)"));
    run_.data.run.profile_name = "<name>|";
  }

  Page build() {
    store_ = Store::open(folder_.path() / ("results" + std::to_string(++n_) + ".db"));
    run_.write(*store_);
    return build_page(*store_, run_.data.run.id);
  }

  ExampleRun run_{5};
  TemporaryFolder folder_;
  std::unique_ptr<Store> store_;
  int n_ = 0;
};

TEST_F(PagesTest, HasTheSectionsInOrder) {
  const Page page = build();
  std::vector<std::string> ids;
  for (const Section& section : page.sections) ids.push_back(section.id);
  EXPECT_EQ(ids, (std::vector<std::string>{"verdict", "run", "speed", "memory", "long-context",
                                           "quality", "twins", "outcomes", "method"}));
  EXPECT_EQ(page.verdict.decision, Decision::kPass);
}

TEST_F(PagesTest, NamesTheMachinesGpusPlainly) {
  run_.data.run.machine = R"({"cpu":"a CPU","gpus":["NVIDIA H200","NVIDIA H200"]})";
  EXPECT_THAT(render_markdown(build()), HasSubstr("| gpus | NVIDIA H200, NVIDIA H200 |"));
}

TEST_F(PagesTest, WarnsOfMemoryBeyondThePlan) {
  const auto warnings = [&](double planned, double peak) {
    run_.data.launch_samples.clear();
    run_.launch("ok").sample("planned_memory", planned).sample("peak_memory", peak);
    const Section memory = build().sections[3];
    EXPECT_EQ(memory.id, "memory");
    return memory.paragraphs;
  };
  constexpr double kMiB = 1024 * 1024;
  EXPECT_THAT(warnings(1000 * kMiB, 1255 * kMiB), testing::IsEmpty());
  EXPECT_THAT(warnings(1000 * kMiB, 1257 * kMiB),
              testing::ElementsAre(HasSubstr("257 MiB more than planned")));
  EXPECT_THAT(warnings(10000 * kMiB, 10299 * kMiB), testing::IsEmpty());
  EXPECT_THAT(warnings(10000 * kMiB, 10301 * kMiB), testing::SizeIs(1));
  EXPECT_THAT(warnings(10000 * kMiB, 100 * kMiB), testing::IsEmpty());
}

TEST_F(PagesTest, WarnsOfGpuMemoryOffThePlan) {
  const auto warnings = [&](double planned, double taken) {
    run_.data.launch_samples.clear();
    run_.launch("ok").sample("planned_device_memory", planned).sample("device_memory", taken);
    return build().sections[3].paragraphs;
  };
  constexpr double kMiB = 1024 * 1024;
  EXPECT_THAT(warnings(100000 * kMiB, 101990 * kMiB), testing::IsEmpty());
  EXPECT_THAT(warnings(100000 * kMiB, 98010 * kMiB), testing::IsEmpty());
  EXPECT_THAT(warnings(100000 * kMiB, 102010 * kMiB),
              testing::ElementsAre(HasSubstr("the GPU of cell")));
  EXPECT_THAT(warnings(100000 * kMiB, 97990 * kMiB),
              testing::ElementsAre(HasSubstr("less than planned, beyond 2 %")));
  EXPECT_THAT(warnings(1000 * kMiB, 1250 * kMiB), testing::IsEmpty()) << "other contexts";
}

TEST_F(PagesTest, SpeculationHasATableWhereThereAreDrafts) {
  const auto tables = [&] { return build().sections[2].tables; };
  ASSERT_EQ(tables().size(), 1u);
  run_.data.attempts[0].samples = {{"acceptance_length", 2.25, 1, "decode"},
                                   {"acceptance_rate_1", 0.75, 1, "decode"}};
  ASSERT_EQ(tables().size(), 2u);
  const Table table = tables()[1];
  ASSERT_EQ(table.rows.size(), 1u);
  std::vector<std::string> cells;
  for (const TableCell& cell : table.rows[0]) cells.push_back(cell.text);
  EXPECT_THAT(cells, testing::ElementsAre("needle", "1", "2.25", "–", "0.750", "–", "–", "–", "–"));
}

// Two axes of two values: each cell is held against its neighbour along each axis, not a diagonal.
TEST_F(PagesTest, ComparesCellsAlongEachAxisOfTheSweep) {
  std::string profile = example_profile("");
  const std::string axes = R"("axes":[{"key":"engine.kv_dtype","values":[]}])";
  profile.replace(profile.find(axes), axes.size(),
                  R"("axes":[{"key":"checkpoint","values":["a","b"]},)"
                  R"({"key":"engine.draft_tokens","values":["0","2"]}])");
  ExampleRun run(2);
  run.data.run.resolved_profile = profile;
  const CellRow cell = run.data.cells[0];
  run.data.cells.clear();
  for (const char* key : {"a0", "a2", "b0", "b2"}) {
    run.data.cells.push_back(cell);
    run.data.cells.back().key = run.data.cells.back().label = key;
    run.data.cells.back().ordinal = static_cast<int>(run.data.cells.size()) - 1;
    for (int i = 0; i < 2; ++i) {
      const bool right = key[0] == 'a' || i == 0;
      run.attempt(i, right ? "correct" : "wrong", right).cell_key = key;
    }
  }
  run_ = run;
  const Page page = build();
  std::vector<std::string> pairs;
  for (const Difference& d : page.differences) {
    pairs.push_back(d.axis + " " + d.reference_key + " " + d.cell_key);
    EXPECT_EQ(d.change, d.axis == "checkpoint" ? -0.5 : 0);
  }
  EXPECT_EQ(pairs,
            (std::vector<std::string>{"checkpoint a0 b0", "checkpoint a2 b2",
                                      "engine.draft_tokens a0 a2", "engine.draft_tokens b0 b2"}));
  EXPECT_THAT(render_markdown(page), HasSubstr("Setting checkpoint"));
  // Without b0, which a condition may have left out, nothing says what b2 owes to its drafts.
  const char* choices[] = {"[0,0]", "[0,1]", "[1,0]", "[1,1]"};
  for (size_t i = 0; i < 4; ++i) {
    run_.data.cells[i].settings = std::string("{\"choice\":") + choices[i] + "}";
  }
  run_.data.cells.erase_if([](const auto& c) { return c.key == "b0"; });
  run_.data.attempts.erase_if([](const auto& a) { return a.cell_key == "b0"; });
  pairs.clear();
  for (const Difference& d : build().differences) pairs.push_back(d.axis + " " + d.cell_key);
  EXPECT_EQ(pairs, (std::vector<std::string>{"checkpoint b2", "engine.draft_tokens a2"}));
}

TEST_F(PagesTest, EveryRowHasACellForEveryColumn) {
  for (const Section& section : build().sections) {
    for (const Table& table : section.tables) {
      EXPECT_FALSE(table.caption.empty());
      for (const auto& row : table.rows) EXPECT_EQ(row.size(), table.columns.size()) << section.id;
    }
  }
}

TEST_F(PagesTest, ListsEachFigureOnceAndWithItsRows) {
  const Page page = build();
  std::set<std::string> seen;
  ASSERT_FALSE(page.figures.empty());
  for (const Figure& figure : page.figures) {
    EXPECT_TRUE(!figure->attempt_ids.empty() || !figure->launches.empty());
    std::string key = figure->about.cell_key + figure->about.suite + "/" + figure->name;
    for (const auto& [tag, value] : figure->about.tags) key += "/" + tag + value;
    EXPECT_TRUE(seen.insert(key).second) << key;
  }
}

TEST_F(PagesTest, SpeedIsDrawnAgainstLength) {
  for (int i = 0; i < 5; ++i) {
    run_.data.attempts[static_cast<size_t>(i)].tags = {{"length", i < 3 ? "512" : "2048"}};
    run_.data.attempts[static_cast<size_t>(i)].prompt_tokens = i < 3 ? 500 : 2000;
  }
  const Page page = build();
  const Section& speed = page.sections[2];
  ASSERT_EQ(speed.charts.size(), 4u);  // two, and the distributions of latency
  const Chart& prefill = speed.charts[0];
  EXPECT_EQ(prefill.id, "needle-prefill-rate");
  ASSERT_EQ(prefill.series.size(), 2u);  // medians, and every answer
  ASSERT_EQ(prefill.series[0].points.size(), 2u);
  EXPECT_EQ(prefill.series[0].points[0].x, 500);
  EXPECT_EQ(prefill.series[0].points[1].x, 2000);
  EXPECT_EQ(prefill.series[1].points.size(), 5u);
  EXPECT_EQ(prefill.table.rows.size(), 2u);
  EXPECT_THAT(prefill.answer, HasSubstr("At 2,000 prompt tokens"));
  EXPECT_THAT(render_markdown(page), HasSubstr("At 2,000 prompt tokens"));
  EXPECT_THAT(render_html(page), HasSubstr("data-chart=\"needle-prefill-rate\""));
}

TEST(Chart, ThinningKeepsPeaksAndOrder) {
  std::vector<ChartPoint> points;
  for (int i = 0; i < 10000; ++i)
    points.push_back({static_cast<double>(i), i == 7777 ? 99.0 : i % 7});
  const std::vector<ChartPoint> kept = thinned(points, 100);
  EXPECT_LE(kept.size(), 100u);
  EXPECT_GE(kept.size(), 90u);
  EXPECT_TRUE(std::is_sorted(kept.begin(), kept.end(),
                             [](const ChartPoint& a, const ChartPoint& b) { return a.x < b.x; }));
  EXPECT_EQ(std::count_if(kept.begin(), kept.end(), [](const auto& p) { return p.y == 99; }), 1);
  EXPECT_EQ(thinned(points, 20000).size(), 10000u);
  points.assign(500, {3, 1});  // all at one place
  EXPECT_LE(thinned(points, 10).size(), 2u);
}

TEST(Chart, NothingInItsJsonActs) {
  Chart chart;
  chart.id = "a";
  chart.title = "</script><!--\u202E";
  chart.series.push_back({"<b>&\x1b[31m", "k"});
  chart.series[0].points.push_back({1, std::numeric_limits<double>::quiet_NaN()});
  const std::string json = charts_json({&chart});
  EXPECT_THAT(json, Not(HasSubstr("<")));
  EXPECT_TRUE(std::all_of(json.begin(), json.end(), [](char c) { return c >= 32 && c < 127; }));
  const auto read = nlohmann::json::parse(json);
  EXPECT_EQ(read[0]["title"], "</script><!--<U+202E>");
  EXPECT_TRUE(read[0]["series"][0]["points"][0]["y"].is_null());
}

TEST_F(PagesTest, HtmlIsOneFileThatAsksForNothing) {
  std::string html = render_html(build());
  EXPECT_THAT(html, StartsWith("<!doctype html>\n<html lang=\"en\">"));
  EXPECT_THAT(html, HasSubstr("default-src 'none'"));
  EXPECT_THAT(html, Not(HasSubstr("unsafe")));
  // Besides data, just the scripts that the policy names by their hashes.
  const std::vector<std::string> scripts = take_scripts(html);
  EXPECT_EQ(scripts.size(), 4u);
  for (const std::string& script : scripts) {
    EXPECT_THAT(html, HasSubstr("'sha256-" + sha256_base64(script) + "'"));
  }
  EXPECT_EQ(html.find("<script"), html.rfind("<script type=\"application/json\""));
  EXPECT_THAT(html, Not(HasSubstr("src=\"")));
  EXPECT_THAT(html, Not(HasSubstr("url(")));
  EXPECT_THAT(html, Not(HasSubstr("@import")));
  EXPECT_THAT(html, Not(HasSubstr("http:")));
  EXPECT_THAT(html, Not(HasSubstr("https:")));
  EXPECT_THAT(html, HasSubstr("prefers-color-scheme: dark"));
  EXPECT_THAT(html, HasSubstr("@media print"));
}

TEST_F(PagesTest, HtmlIsWellFormed) {
  std::string html = render_html(build());
  take_scripts(html);
  // Every element is closed in order; only void elements stand alone.
  std::vector<std::string> open;
  const std::regex tag("<(/?)([a-z][a-z0-9]*)((?:[^<>\"]|\"[^\"]*\")*)>");
  for (auto it = std::sregex_iterator(html.begin(), html.end(), tag); it != std::sregex_iterator();
       ++it) {
    const std::string name = (*it)[2];
    if (name == "meta") continue;
    if ((*it)[1].length() == 0) {
      open.push_back(name);
    } else {
      ASSERT_FALSE(open.empty());
      ASSERT_EQ(open.back(), name);
      open.pop_back();
    }
  }
  EXPECT_TRUE(open.empty());
  // No `<` is left that is not a tag.
  const std::string rest = std::regex_replace(html, tag, "");
  EXPECT_EQ(std::count(rest.begin(), rest.end(), '<'), 1) << "the doctype";
}

TEST_F(PagesTest, HtmlIsAccessible) {
  std::string html = render_html(build());
  take_scripts(html);
  EXPECT_EQ(html.find("<th>"), std::string::npos) << "every heading cell has a scope";
  EXPECT_THAT(html, HasSubstr("<th scope=\"row\""));
  EXPECT_THAT(html, HasSubstr("<main>"));
  EXPECT_THAT(html, HasSubstr("<h1>&lt;name&gt;|</h1>"));
  EXPECT_THAT(html, HasSubstr("PASS"));
  std::set<std::string> ids;
  const std::regex id("id=\"([^\"]*)\"");
  for (auto it = std::sregex_iterator(html.begin(), html.end(), id); it != std::sregex_iterator();
       ++it) {
    EXPECT_TRUE(ids.insert((*it)[1]).second) << (*it)[1];
  }
}

TEST_F(PagesTest, HostileOutputIsShownNotObeyed) {
  const Page page = build();
  std::string html = render_html(page);
  take_scripts(html);
  EXPECT_THAT(html, HasSubstr("&lt;/script&gt;&lt;script&gt;alert(1)"));
  EXPECT_THAT(html, HasSubstr("bytes left out"));
  EXPECT_LT(html.size(), 60'000u);
  for (const std::string& text :
       {html, render_markdown(page), render_terminal(page, false), render_json(page)}) {
    EXPECT_THAT(text, Not(HasSubstr("\033")));
    EXPECT_THAT(text, Not(HasSubstr("\xff")));
    EXPECT_THAT(text, Not(HasSubstr("\a")));
  }
  EXPECT_THAT(render_markdown(page), HasSubstr("# &lt;name&gt;\\|: ✓ PASS"));
}

TEST_F(PagesTest, TerminalTablesAlignAndColourOnlyOnRequest) {
  const Page page = build();
  const std::string plain = render_terminal(page, false);
  EXPECT_THAT(plain, Not(HasSubstr("\033")));
  EXPECT_THAT(plain, HasSubstr("✓ PASS  <name>|, run aaaaaaaa:"));
  const std::string coloured = render_terminal(page, true);
  EXPECT_THAT(coloured, HasSubstr("\033[32m✓ PASS\033[0m"));
  EXPECT_EQ(std::regex_replace(coloured, std::regex("\033\\[[0-9]*m"), ""), plain)
      << "colour adds nothing but colour";
  for (size_t start = 0; start < plain.size();) {
    const size_t end = plain.find('\n', start);
    EXPECT_FALSE(plain[end - 1] == ' ' && end > start)
        << "trailing blanks in: " << plain.substr(start, end - start);
    start = end + 1;
  }
}

TEST_F(PagesTest, JsonNamesTheRowsBehindEveryFigure) {
  const auto json = nlohmann::json::parse(render_json(build()));
  EXPECT_EQ(json.at("format"), 1);
  EXPECT_EQ(json.at("verdict").at("decision"), "pass");
  EXPECT_EQ(json.at("verdict").at("exit_code"), 0);
  EXPECT_EQ(json.at("verdict").at("gates").size(), 1u);
  EXPECT_EQ(json.at("cells").at(0).at("cases_answered"), 5);
  bool found = false;
  for (const auto& figure : json.at("figures")) {
    EXPECT_FALSE(figure.at("attempts").empty() && figure.at("launches").empty());
    if (figure.at("name") == "exact" && figure.at("tags").empty()) {
      found = true;
      EXPECT_DOUBLE_EQ(figure.at("value"), 0.75);
      EXPECT_EQ(figure.at("n"), 4);
      EXPECT_EQ(figure.at("n_invalid"), 1);
      EXPECT_EQ(figure.at("attempts"), (std::vector<int>{1, 2, 3, 4, 5}));
    }
  }
  EXPECT_TRUE(found);
}

TEST_F(PagesTest, TheSameRowsGiveTheSameBytes) {
  const Page first = build(), second = build();
  EXPECT_EQ(render_html(first), render_html(second));
  EXPECT_EQ(render_markdown(first), render_markdown(second));
  EXPECT_EQ(render_json(first), render_json(second));
  EXPECT_EQ(render_terminal(first, true), render_terminal(second, true));
}

TEST_F(PagesTest, OpensTheAnswersThatAreNotCorrectFirst) {
  for (const Section& section : build().sections) {
    if (section.id != "quality") continue;
    ASSERT_EQ(section.items.size(), 5u);
    EXPECT_THAT(section.items[0].title, HasSubstr("needle/c3: wrong"));
    EXPECT_THAT(section.items[1].title, HasSubstr("needle/c4: invalid"));
    EXPECT_THAT(section.items[2].title, HasSubstr("correct"));
  }
}

TEST_F(PagesTest, NeverHidesAFailure) {
  run_ = ExampleRun(3);
  run_.launch("KERNEL_CRASH");
  run_.attempt(0, "correct", 1);
  StoredAttempt& failed = run_.attempt(1, "");
  failed.status = "error";
  failed.error = "stopped after 10m";
  run_.data.run.resolved_profile = example_profile(example_gate(R"("min":0.5)"));
  const Page page = build();
  const std::string html = render_html(page), terminal = render_terminal(page, false);
  for (const char* text :
       {"killed by SIGSEGV", "stopped after 10m", "2 of 3 cases have no answer"}) {
    EXPECT_THAT(html, HasSubstr(text));
    EXPECT_THAT(terminal, HasSubstr(text));
  }
  EXPECT_THAT(html, HasSubstr("the last words"));
  EXPECT_THAT(terminal, HasSubstr("✗ FAIL"));
}

TEST_F(PagesTest, RendersARunWithoutAnything) {
  run_ = ExampleRun(0);
  run_.data.cells.clear();
  const Page page = build();
  EXPECT_EQ(page.verdict.decision, Decision::kInconclusive);
  EXPECT_THAT(render_html(page), HasSubstr("The run has no cells."));
  EXPECT_FALSE(render_markdown(page).empty());
  EXPECT_FALSE(render_terminal(page, false).empty());
  EXPECT_THROW(build_page(*store_, "no such run"), Error);
}

}  // namespace
}  // namespace ds4::reports

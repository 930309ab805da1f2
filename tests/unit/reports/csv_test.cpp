// CSV: fields by RFC 4180 and by what spreadsheets do with them; the rows of a page by a reader of
// its own.
#include "reports/pages/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>

#include "reports/pages/render.h"
#include "tests/unit/reports/example_data.h"

namespace ds4::reports {
namespace {

using Records = std::vector<std::vector<std::string>>;

// The grammar of RFC 4180, section 2: records end in CR LF, "" within quotes is one quote.
Records read_csv(const std::string& text) {
  Records records = {{""}};
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c != '"') {
        records.back().back() += c;
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        records.back().back() += '"';
        ++i;
      } else {
        quoted = false;
      }
    } else if (c == '"') {
      EXPECT_EQ(records.back().back(), "") << "a quote within a bare field";
      quoted = true;
    } else if (c == ',') {
      records.back().emplace_back();
    } else if (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n') {
      records.push_back({""});
      ++i;
    } else {
      EXPECT_NE(c, '\n') << "a bare line feed";
      records.back().back() += c;
    }
  }
  EXPECT_FALSE(quoted);
  EXPECT_EQ(records.back(), std::vector<std::string>{""}) << "the last record has no line end";
  records.pop_back();
  return records;
}

// Rows by the titles of their columns.
std::vector<std::map<std::string, std::string>> rows_of(const std::string& text) {
  const Records records = read_csv(text);
  std::vector<std::map<std::string, std::string>> rows;
  for (size_t i = 1; i < records.size(); ++i) {
    EXPECT_EQ(records[i].size(), records[0].size());
    for (size_t c = 0; c < records[0].size(); ++c) {
      if (c == 0) rows.emplace_back();
      rows.back()[records[0][c]] = records[i][c];
    }
  }
  return rows;
}

TEST(Csv, QuotesWhatHasToBeQuoted) {
  EXPECT_EQ(csv_text("plain"), "plain");
  EXPECT_EQ(csv_text(""), "");
  EXPECT_EQ(csv_text("a,b"), "\"a,b\"");
  EXPECT_EQ(csv_text("say \"x\""), "\"say \"\"x\"\"\"");
  EXPECT_EQ(csv_text("two\nlines"), "\"two\nlines\"");
  const std::string odd = "a,\"b\"\nc";
  EXPECT_EQ(read_csv(csv_record({csv_text(odd), csv_text("d")})), (Records{{odd, "d"}}));
}

TEST(Csv, DefusesWhatASpreadsheetWouldRun) {
  for (const std::string text : {"=1+1", "+1", "-1", "@SUM(A1)", " =1+1", "\t=1", "\n@x"}) {
    const std::string read = read_csv(csv_record({csv_text(text)}))[0][0];
    EXPECT_EQ(read, "'" + text);
  }
  EXPECT_EQ(csv_text("=HYPERLINK(\"http://x\",\"y\")"),
            "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"");
  EXPECT_EQ(csv_text("a=b"), "a=b");
  EXPECT_EQ(csv_text("\x1b[31m"), "␛[31m");
}

TEST(Csv, WritesNumbersAsTheyAre) {
  EXPECT_EQ(csv_number(-0.25), "-0.25");
  EXPECT_EQ(csv_number(std::nullopt), "");
  const double third = 1.0 / 3;
  EXPECT_EQ(std::stod(csv_number(third)), third);
  constexpr double kMost = std::numeric_limits<double>::max();
  EXPECT_EQ(std::stod(csv_number(kMost)), kMost);
}

class CsvPageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    CellRow& cell = run_.data.cells.front();
    cell.label = "=kv, \"fp8\"";
    cell.semantics =
        R"({"engine":{"kv_dtype":"fp8","threads":2},"suites":{"needle":{"version":3}}})";
    CellRow other = cell;
    other.key = "k2";
    other.label = "bf16";
    other.ordinal = 1;
    other.semantics =
        R"({"engine":{"kv_dtype":"bf16","threads":2},"suites":{"needle":{"version":3}}})";
    run_.launch("ok").sample("peak_memory", 1e9);
    for (int i = 0; i < 3; ++i) run_.attempt(i, i == 2 ? "wrong" : "correct", i == 2 ? 0 : 1);
    run_.data.cells.push_back(other);
    const auto store = Store::open(folder_.path() / "results.db");
    run_.write(*store);
    page_ = build_page(*store, run_.data.run.id);
  }

  ExampleRun run_{3};
  TemporaryFolder folder_;
  Page page_;
};

TEST_F(CsvPageTest, HasARowForEachCell) {
  const auto rows = rows_of(render_cells_csv(page_));
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].at("run"), page_.run.id);
  EXPECT_EQ(rows[0].at("cell"), "k1");
  EXPECT_EQ(rows[0].at("label"), "'=kv, \"fp8\"");
  EXPECT_EQ(rows[0].at("engine.kv_dtype"), "fp8");
  EXPECT_EQ(rows[1].at("engine.kv_dtype"), "bf16");
  EXPECT_EQ(rows[0].at("engine.threads"), "2");
  EXPECT_FALSE(rows[0].contains("suites.needle.version"));  // every cell has the same
  EXPECT_EQ(rows[0].at("cases_answered"), "3");
  EXPECT_EQ(rows[0].at("wrong"), "1");
  EXPECT_EQ(rows[1].at("outcome"), "not run");
}

TEST_F(CsvPageTest, HasARowForEachFigure) {
  const auto rows = rows_of(render_figures_csv(page_));
  ASSERT_EQ(rows.size(), page_.figures.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const FigureData& data = *page_.figures[i];
    EXPECT_EQ(rows[i].at("figure"), data.name);
    EXPECT_EQ(rows[i].at("suite"), data.about.suite);
    EXPECT_EQ(rows[i].at("unit"), data.unit);
    EXPECT_EQ(rows[i].at("n"), std::to_string(data.n));
    EXPECT_EQ(rows[i].at("engine.kv_dtype"), "fp8");
    ASSERT_EQ(rows[i].at("value").empty(), !data.value);
    if (data.value) {
      EXPECT_EQ(std::stod(rows[i].at("value")), *data.value);
    }
    ASSERT_EQ(rows[i].at("low").empty(), !data.interval);
    if (data.interval) {
      EXPECT_EQ(std::stod(rows[i].at("high")), data.interval->hi);
    }
    const auto length = data.about.tags.find("length");
    EXPECT_EQ(rows[i].at("tag.length"), length == data.about.tags.end() ? "" : length->second);
  }
}

}  // namespace
}  // namespace ds4::reports

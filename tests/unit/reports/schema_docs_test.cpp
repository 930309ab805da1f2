// docs/schema.md against the schema: every table, view and column is documented, and every query it
// shows runs and answers.
#include <gtest/gtest.h>

#include <sstream>

#include "engine/base/files.h"
#include "reports/store/database.h"
#include "tests/support/source_dir.h"
#include "tests/unit/reports/example_data.h"

namespace ds4::reports {
namespace {

std::string schema_docs() {
  return read_file(test_support::source_dir() / "docs" / "schema.md");
}

// The ```sql blocks of a Markdown text.
std::vector<std::string> sql_blocks(const std::string& text) {
  std::vector<std::string> blocks;
  std::istringstream in(text);
  std::string line, block;
  bool inside = false;
  while (std::getline(in, line)) {
    if (line == "```sql") {
      inside = true;
      block.clear();
    } else if (line == "```" && inside) {
      inside = false;
      blocks.push_back(block);
    } else if (inside) {
      block += line + "\n";
    }
  }
  return blocks;
}

class SchemaDocsTest : public testing::Test {
 protected:
  void SetUp() override {
    ExampleRun run(3);
    run.launch("KERNEL_CRASH").launch("ok").sample("peak_memory", 1e9);
    run.attempt(0, "correct", 1);
    run.attempt(1, "wrong", 0);
    run.attempt(2, "invalid");
    auto store = Store::open(path_);
    run.write(*store);
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "results.db";
};

TEST_F(SchemaDocsTest, EveryQueryRunsAndAnswers) {
  Database database(path_, Database::Mode::kReadOnly);
  const auto blocks = sql_blocks(schema_docs());
  EXPECT_GE(blocks.size(), 5u);
  for (const std::string& sql : blocks) {
    Statement statement(database, sql);
    EXPECT_TRUE(statement.step()) << "no row from:\n" << sql;
  }
}

TEST_F(SchemaDocsTest, EveryTableViewAndColumnIsDocumented) {
  Database database(path_, Database::Mode::kReadOnly);
  const std::string docs = schema_docs();
  Statement tables(database,
                   "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name");
  while (tables.step()) {
    const std::string table = tables.text(0);
    EXPECT_NE(docs.find("`" + table + "`"), std::string::npos) << table;
    Statement columns(database, "SELECT name FROM pragma_table_info('" + table + "')");
    while (columns.step()) {
      EXPECT_NE(docs.find("`" + columns.text(0) + "`"), std::string::npos)
          << table << "." << columns.text(0);
    }
  }
}

TEST_F(SchemaDocsTest, TheViewsAgreeWithTheProgram) {
  Database database(path_, Database::Mode::kReadOnly);
  auto store = Store::open_read_only(path_);
  const RunData run = load_run(*store, "latest", false);

  const Figure exact = *score_figure(run, {"k1", "needle", {}}, "exact");
  Statement figures(database, "SELECT value, n, n_invalid FROM figures WHERE name = 'exact'");
  ASSERT_TRUE(figures.step());
  EXPECT_DOUBLE_EQ(figures.real(0), *exact->value);
  EXPECT_EQ(figures.integer(1), exact->n);
  EXPECT_EQ(figures.integer(2), exact->n_invalid);

  Statement metrics(database,
                    "SELECT ttft, prefill_rate, decode_rate FROM attempt_metrics "
                    "ORDER BY attempt_id");
  ASSERT_TRUE(metrics.step());
  EXPECT_DOUBLE_EQ(metrics.real(0), *attempt_metric(run.attempts[0], "ttft"));
  EXPECT_DOUBLE_EQ(metrics.real(1), *attempt_metric(run.attempts[0], "prefill_rate"));
  EXPECT_DOUBLE_EQ(metrics.real(2), *attempt_metric(run.attempts[0], "decode_rate"));

  const CellStatus status = cell_status(run, run.cells[0]);
  Statement cells(database,
                  "SELECT outcome, launches, seconds, cases_planned, cases_ok FROM cell_summary");
  ASSERT_TRUE(cells.step());
  EXPECT_EQ(cells.text(0), status.outcome);
  EXPECT_EQ(cells.integer(1), status.n_launches);
  EXPECT_DOUBLE_EQ(cells.real(2), status.seconds);
  EXPECT_EQ(cells.integer(3), status.n_planned);
  EXPECT_EQ(cells.integer(4), status.n_ok);
}

}  // namespace
}  // namespace ds4::reports

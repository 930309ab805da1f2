// The store on files that are damaged, foreign, newer, older, full or not writable.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "reports/store/database.h"
#include "reports/store/migrations.h"
#include "reports/store/store.h"
#include "reports/store/texts.h"
#include "tests/unit/reports/fixtures.h"

namespace ds4::reports {
namespace {

using testing::HasSubstr;

class StoreFilesTest : public testing::Test {
 protected:
  void fill() {
    auto store = Store::open(path_);
    store->add_run(example_run("r"), {example_cell("k1", 0)});
    store->add_attempt("r", example_attempt("k1", "needle", "c1"), std::nullopt);
  }
  // The error of opening the store for writing; fails the test when there is none.
  Error open_error() {
    try {
      Store::open(path_)->runs();
    } catch (const Error& e) {
      return e;
    }
    ADD_FAILURE() << "opened";
    return Error(ErrorCode::kUsage, "");
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "results.db";
};

TEST_F(StoreFilesTest, CreatesMissingFolders) {
  path_ = folder_.path() / "a" / "b" / "results.db";
  fill();
  EXPECT_EQ(Store::open_read_only(path_)->runs().size(), 1u);
}

TEST_F(StoreFilesTest, ReadingAMissingFileSaysSo) {
  try {
    Store::open_read_only(path_);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kIo);
    EXPECT_THAT(e.what(), HasSubstr("no such database"));
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(StoreFilesTest, RefusesAFileThatIsNoDatabase) {
  write_file_atomic(path_, std::string(4096, 'x'));
  const Error error = open_error();
  EXPECT_EQ(error.code(), ErrorCode::kIo);
  EXPECT_THAT(error.what(), HasSubstr(path_.string()));
  EXPECT_THAT(error.hint(), HasSubstr("--db"));
  EXPECT_EQ(read_file(path_), std::string(4096, 'x')) << "the file was changed";
}

TEST_F(StoreFilesTest, RefusesADatabaseOfAnotherProgram) {
  {
    Database database(path_, Database::Mode::kCreate);
    database.execute("CREATE TABLE recipes (name TEXT)", "prepare");
  }
  const std::string bytes = read_file(path_);
  EXPECT_THAT(open_error().what(), HasSubstr("not of ds4-sweep"));
  EXPECT_EQ(read_file(path_), bytes) << "the file was changed";
}

TEST_F(StoreFilesTest, RefusesANewerSchema) {
  fill();
  {
    Database database(path_, Database::Mode::kCreate);
    database.execute("PRAGMA user_version = 999", "prepare");
  }
  EXPECT_THAT(open_error().what(), HasSubstr("newer ds4-sweep (schema 999"));
  EXPECT_THROW(Store::open_read_only(path_), Error);
}

TEST_F(StoreFilesTest, MigratesAnOlderSchemaStepByStep) {
  const Migration steps[] = {{1, "CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (7);"},
                             {2, "ALTER TABLE a ADD COLUMN y INTEGER NOT NULL DEFAULT 1;"},
                             {3, "UPDATE a SET y = x * 2;"}};
  Database database(path_, Database::Mode::kCreate);
  migrate(database, std::span(steps, 1));
  EXPECT_EQ(database.integer("PRAGMA user_version"), 1);
  EXPECT_THROW(require_current(database, steps), Error);
  migrate(database, steps);
  EXPECT_EQ(database.integer("PRAGMA user_version"), 3);
  EXPECT_EQ(database.integer("SELECT y FROM a"), 14);
  migrate(database, steps);  // nothing left to do
  require_current(database, steps);
  EXPECT_THROW(migrate(database, std::span(steps, 2)), Error) << "version 3 is newer than 2";
}

TEST_F(StoreFilesTest, AFailedMigrationChangesNothing) {
  const Migration steps[] = {{1, "CREATE TABLE a (x INTEGER);"},
                             {2, "CREATE TABLE b (x INTEGER); INSERT INTO nowhere VALUES (1);"}};
  Database database(path_, Database::Mode::kCreate);
  EXPECT_THROW(migrate(database, steps), Error);
  EXPECT_EQ(database.integer("PRAGMA user_version"), 1);
  EXPECT_EQ(database.integer("SELECT count(*) FROM sqlite_schema WHERE name = 'b'"), 0);
}

TEST_F(StoreFilesTest, ADatabaseOfTheFirstSchemaIsBroughtUpToThisOne) {
  {
    Database database(path_, Database::Mode::kCreate);
    migrate(database, all_migrations().first(1));
    database.execute(
        "INSERT INTO runs VALUES ('old', 'p', '', '', '{}', '', 0, '', '{}', '', '', '', '', '')",
        "prepare");
  }
  EXPECT_THROW(Store::open_read_only(path_), Error);
  auto store = Store::open(path_);
  EXPECT_EQ(store->run("latest").id, "old");
  store->set_baseline({"green", "old", "2026-01-01T00:00:00Z"});
  EXPECT_EQ(store->run("baseline:green").profile_name, "p");
}

TEST_F(StoreFilesTest, TheShippedMigrationsAreNumberedFromOne) {
  int expected = 1;
  for (const Migration& migration : all_migrations()) EXPECT_EQ(migration.version, expected++);
}

// Rows as a program of version 4 wrote them.
TEST_F(StoreFilesTest, AnOlderRunGetsItsCellsAsItsQueue) {
  {
    Database database(path_, Database::Mode::kCreate);
    migrate(database, all_migrations().first(4));
    database.execute(
        "INSERT INTO runs VALUES ('r','','','','{}','',0,'','{}','','','','2026-01-01','');"
        "INSERT INTO cells (run_id, key, ordinal, label, semantics, settings) VALUES "
        "('r','b',0,'','',''), ('r','a',1,'','','')",
        "prepare");
  }
  const auto queue = Store::open(path_)->queue("r");
  ASSERT_EQ(queue.size(), 2u);
  EXPECT_EQ(queue[0].cell_key, "b");
  EXPECT_EQ(queue[1].cell_key, "a");
  EXPECT_EQ(queue[1].ordinal, 1);
  EXPECT_EQ(queue[1].state, "waiting");
}

// Rows as a program of version 6 wrote them: outcomes of five words, attempts without any.
TEST_F(StoreFilesTest, OlderOutcomesAreRenamedAsFarAsTheirColumnsTell) {
  struct Row {
    const char *outcome, *phase, *message;
    int exit_code;
    const char* becomes;
  };
  const Row launches[] = {
      {"ok", "", "", 0, "ok"},
      {"interrupted", "cases", "", 0, "interrupted"},
      {"crash", "cases", "crashed", 0, "KERNEL_CRASH"},
      {"killed", "load", "killed by signal Killed", 0, "KILLED"},
      {"timeout", "x", "the cell took longer than `limits.cell_timeout`", 0, "TIMEOUT"},
      {"timeout", "x", "case smoke/a did not end", 0, "HANG"},
      {"error", "load", "out of memory", 3, "LOAD_OOM"},
      {"error", "warm-up", "out of memory", 3, "CAPTURE_OOM"},
      {"error", "load", "config.json: not JSON", 2, "LOAD_INCOMPATIBLE"},
      {"error", "load", "no GPU", 3, "PREFLIGHT_REFUSED"},
      {"error", "smoke/a", "CUDA: unspecified launch failure", 3, "KERNEL_CRASH"},
  };
  {
    Database database(path_, Database::Mode::kCreate);
    migrate(database, all_migrations().first(6));
    std::string sql =
        "INSERT INTO runs (id, profile_name, profile_path, profile_text, resolved_profile, "
        "commit_hash, dirty, version, machine, checkpoint_path, checkpoint_identity, command_line, "
        "started_at, finished_at) VALUES ('r','','','','{}','',0,'','{}','','','','','');"
        "INSERT INTO cells (run_id, key, ordinal, label, semantics, settings) VALUES "
        "('r','k',0,'','','');"
        "INSERT INTO texts VALUES (1, 'h', 0, 'raw', '');";
    int number = 0;
    for (const Row& row : launches) {
      sql +=
          "INSERT INTO launches (run_id, cell_key, number, outcome, phase, exit_code, signal, "
          "message, log_tail, seconds, started_at) VALUES ('r','k'," +
          std::to_string(++number) + ",'" + row.outcome + "','" + row.phase + "'," +
          std::to_string(row.exit_code) + ",0,'" + row.message + "','',1,'');";
    }
    const char* const attempts[][4] = {{"a", "ok", "stop", ""},
                                       {"b", "ok", "stop", ""},
                                       {"c", "ok", "length", ""},
                                       {"d", "error", "", "connection reset"},
                                       {"e", "error", "", "stopped, `limits.case_timeout`"},
                                       {"f", "cancelled", "", ""},
                                       {"g", "ok", "stop", ""}};
    for (const auto& attempt : attempts) {
      sql +=
          std::string("INSERT INTO attempts (run_id, cell_key, suite, suite_version, case_id, ") +
          "number, status, tags, prompt, expected, text, reasoning, content, tool_calls, "
          "finish_reason, error, prompt_tokens, completion_tokens, cached_tokens, first_token_s, "
          "end_s, started_at) VALUES ('r','k','s',1,'" +
          attempt[0] + "',1,'" + attempt[1] + "','{}',1,1,1,1,1,1,'" + attempt[2] + "','" +
          attempt[3] + "',1,1,0,0.1,1,'');";
    }
    sql +=
        "INSERT INTO scores (attempt_id, suite_version, grade, extracted, explanation) VALUES "
        "(1,1,'wrong','',''), (1,1,'correct','',''), (2,1,'wrong','',''), (3,1,'invalid','','');"
        "INSERT INTO score_values VALUES (3, 'near_miss', 1.0);";
    database.execute(sql, "prepare");
  }
  const auto store = Store::open(path_);
  const auto renamed = store->launches("r");
  ASSERT_EQ(renamed.size(), std::size(launches));
  for (size_t i = 0; i < renamed.size(); ++i) EXPECT_EQ(renamed[i].outcome, launches[i].becomes);
  std::vector<std::string> classes;
  for (const StoredAttempt& attempt : store->attempts("r", false)) {
    classes.push_back(attempt.outcome);
  }
  EXPECT_EQ(classes, (std::vector<std::string>{"ok", "NEAR_MISS", "TRUNCATED_BY_BUDGET",
                                               "API_ERROR", "TIMEOUT", "interrupted", ""}));
}

TEST_F(StoreFilesTest, AFullDiskIsNamedAndLosesNothing) {
  fill();
  {
    // SQLite's own page limit gives the same result code as a full file system.
    Database database(path_, Database::Mode::kCreate);
    const int64_t pages = database.integer("PRAGMA page_count");
    database.integer("PRAGMA max_page_count = " + std::to_string(pages));
    Transaction transaction(database);
    std::string noise(1 << 20, '\0');
    uint32_t state = 1;
    for (char& c : noise) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
    try {
      intern_text(database, noise);
      FAIL() << "nothing was refused";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kIo);
      EXPECT_THAT(e.hint(), HasSubstr("disk is full"));
    }
  }
  EXPECT_EQ(Store::open(path_)->attempts("r", true).size(), 1u);
}

TEST_F(StoreFilesTest, ReadsFromAFolderThatCannotBeWritten) {
  fill();
  if (::geteuid() == 0) GTEST_SKIP() << "permissions do not bind the superuser";
  std::filesystem::permissions(path_, std::filesystem::perms::owner_read);
  std::filesystem::permissions(
      folder_.path(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  EXPECT_EQ(Store::open_read_only(path_)->runs().size(), 1u);
  const Error error = open_error();
  EXPECT_EQ(error.code(), ErrorCode::kIo);
  EXPECT_THAT(error.hint(), HasSubstr("writ"));
  std::filesystem::permissions(folder_.path(), std::filesystem::perms::owner_all);
}

TEST_F(StoreFilesTest, DamagedPagesAreAnErrorNotACrash) {
  fill();
  std::string bytes = read_file(path_);
  for (size_t i = 4096; i < bytes.size(); ++i) bytes[i] = static_cast<char>(0xa5);
  write_file_atomic(path_, bytes);
  const Error error = open_error();
  EXPECT_EQ(error.code(), ErrorCode::kIo);
  EXPECT_THAT(error.what(), HasSubstr(path_.string()));
}

TEST_F(StoreFilesTest, ATruncatedFileIsAnErrorNotACrash) {
  fill();
  const std::string bytes = read_file(path_);
  write_file_atomic(path_, bytes.substr(0, bytes.size() / 2));
  try {
    auto store = Store::open_read_only(path_);
    store->attempts("r", true);
    FAIL() << "read from half a file";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kIo);
  }
}

TEST_F(StoreFilesTest, AChangedTextIsNoticed) {
  fill();
  {
    Database database(path_, Database::Mode::kCreate);
    database.execute(
        "UPDATE texts SET data = CAST('other' AS BLOB), size = 5 "
        "WHERE CAST(data AS TEXT) = 'the answer'",
        "tamper");
  }
  EXPECT_NO_THROW(Store::open_read_only(path_)->attempts("r", false));
  EXPECT_THROW(Store::open_read_only(path_)->attempts("r", true), Error);
}

TEST_F(StoreFilesTest, CommitsAreSyncedToTheLog) {
  Database database(path_, Database::Mode::kCreate);
  database.use_write_ahead_log();
  EXPECT_EQ(database.integer("PRAGMA synchronous"), 2) << "2 is FULL";
  Statement mode(database, "PRAGMA journal_mode");
  ASSERT_TRUE(mode.step());
  EXPECT_EQ(mode.text(0), "wal");
  EXPECT_EQ(database.integer("PRAGMA foreign_keys"), 1);
}

}  // namespace
}  // namespace ds4::reports

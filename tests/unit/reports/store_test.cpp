// What the store keeps and gives back. Damaged, foreign and read-only files: store_files_test.cpp.
#include "reports/store/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "engine/base/error.h"
#include "reports/store/database.h"
#include "tests/unit/reports/fixtures.h"

namespace ds4::reports {
namespace {

using testing::HasSubstr;

class StoreTest : public testing::Test {
 protected:
  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "results.db";
};

TEST_F(StoreTest, GivesBackARunAsItWas) {
  auto store = Store::open(path_);
  const RunRow run = example_run("aaaa-1");
  store->add_run(run, {example_cell("k1", 0), example_cell("k2", 1)});
  store->finish_run(run.id, "2026-01-01T00:01:00Z");
  const RunRow back = store->run("aaaa");
  EXPECT_EQ(back.profile_text, run.profile_text);
  EXPECT_EQ(back.resolved_profile, run.resolved_profile);
  EXPECT_EQ(back.commit, run.commit);
  EXPECT_EQ(back.dirty, run.dirty);
  EXPECT_EQ(back.machine, run.machine);
  EXPECT_EQ(back.checkpoint_identity, run.checkpoint_identity);
  EXPECT_EQ(back.command_line, run.command_line);
  EXPECT_EQ(back.finished_at, "2026-01-01T00:01:00Z");
  const auto cells = store->cells(run.id);
  ASSERT_EQ(cells.size(), 2u);
  EXPECT_EQ(cells[0].key, "k1");
  EXPECT_EQ(cells[1].ordinal, 1);
  ASSERT_EQ(cells[0].cases.size(), 2u);
  EXPECT_EQ(cells[0].cases[1].case_id, "c2");
  EXPECT_EQ(cells[0].cases[1].tags.at("length"), "512");
}

TEST_F(StoreTest, GivesBackAnAttemptByteForByte) {
  auto store = Store::open(path_);
  store->add_run(example_run("r"), {example_cell("k1", 0)});
  AttemptRow attempt = example_attempt("k1", "needle", "c1");
  attempt.text = std::string("\x00\xff<script>", 10) + std::string(5000, 'x');
  attempt.prompt = std::string(100'000, 'p');
  attempt.tool_calls = R"([{"name":"f"}])";
  attempt.samples = {{"ttft", 0.25, 0.5, "prefill"}};
  attempt.exchanges = {example_exchange("one"), example_exchange("two")};
  ScoreRow score;
  score.grade = "correct";
  score.suite_version = 3;
  score.values = {{"exact", 1}, {"near", 0.5}};
  score.extracted = "A-1";
  score.explanation = "equal";
  const int64_t id = store->add_attempt("r", attempt, score);

  const auto back = store->attempts("r", true);
  ASSERT_EQ(back.size(), 1u);
  EXPECT_EQ(back[0].id, id);
  EXPECT_EQ(back[0].text, attempt.text);
  EXPECT_EQ(back[0].prompt, attempt.prompt);
  EXPECT_EQ(back[0].expected, attempt.expected);
  EXPECT_EQ(back[0].tool_calls, attempt.tool_calls);
  EXPECT_EQ(back[0].tags, attempt.tags);
  EXPECT_EQ(back[0].prompt_tokens, attempt.prompt_tokens);
  EXPECT_DOUBLE_EQ(back[0].first_token_s, attempt.first_token_s);
  ASSERT_EQ(back[0].events.size(), attempt.events.size());
  EXPECT_DOUBLE_EQ(back[0].events[1].time_s, attempt.events[1].time_s);
  ASSERT_EQ(back[0].samples.size(), 1u);
  EXPECT_EQ(back[0].samples[0].phase, "prefill");
  ASSERT_EQ(back[0].exchanges.size(), 2u);
  const ExchangeRow& second = back[0].exchanges[1];
  EXPECT_EQ(second.said.at(0).content, "result of two");
  EXPECT_EQ(second.said.at(0).tool_call_id, "call_1_1");
  EXPECT_EQ(second.text, "two");
  EXPECT_EQ(second.tool_calls, "[]");
  EXPECT_EQ(second.completion_tokens, 7);
  EXPECT_DOUBLE_EQ(second.sent_s, 1.5);
  EXPECT_DOUBLE_EQ(second.events.at(1).time_s, 0.3);
  ASSERT_TRUE(back[0].score.has_value());
  EXPECT_EQ(back[0].score->attempt_id, id);
  EXPECT_EQ(back[0].score->values, score.values);
  EXPECT_EQ(back[0].score->explanation, "equal");
  EXPECT_TRUE(store->attempts("r", false)[0].prompt.empty());
}

TEST_F(StoreTest, StoresEqualTextsOnceAndCompressed) {
  auto store = Store::open(path_);
  store->add_run(example_run("r"), {example_cell("k1", 0)});
  for (const char* id : {"c1", "c2", "c3"}) {
    AttemptRow attempt = example_attempt("k1", "needle", id);
    attempt.prompt = std::string(1'000'000, 'p');
    store->add_attempt("r", attempt, std::nullopt);
  }
  Database database(path_, Database::Mode::kReadOnly);
  EXPECT_EQ(database.integer("SELECT count(*) FROM texts WHERE size = 1000000"), 1);
  EXPECT_LT(database.integer("SELECT length(data) FROM texts WHERE size = 1000000"), 1000);
  // Short texts that would not shrink stay readable by any SQLite tool.
  EXPECT_EQ(database.integer("SELECT count(*) FROM texts WHERE encoding = 'raw' AND "
                             "CAST(data AS TEXT) = 'the answer'"),
            1);
}

TEST_F(StoreTest, RefusesTheSameAttemptTwice) {
  auto store = Store::open(path_);
  store->add_run(example_run("r"), {example_cell("k1", 0)});
  AttemptRow attempt = example_attempt("k1", "needle", "c1");
  store->add_attempt("r", attempt, std::nullopt);
  EXPECT_THROW(store->add_attempt("r", attempt, std::nullopt), Error);
  EXPECT_EQ(store->attempts("r", false).size(), 1u);
  attempt.number = 2;
  attempt.launch = 7;
  store->add_attempt("r", attempt, std::nullopt);
  const auto attempts = store->attempts("r", false);
  ASSERT_EQ(attempts.size(), 2u);
  EXPECT_EQ(attempts[0].launch, 0);
  EXPECT_EQ(attempts[1].launch, 7);
}

TEST_F(StoreTest, LeavesNothingOfAnAttemptThatFails) {
  auto store = Store::open(path_);
  store->add_run(example_run("r"), {example_cell("k1", 0)});
  ScoreRow score;
  score.grade = "no such grade";  // the last row of the transaction breaks a CHECK
  EXPECT_THROW(store->add_attempt("r", example_attempt("k1", "needle", "c1"), score), Error);
  Database database(path_, Database::Mode::kReadOnly);
  for (const char* table : {"attempts", "events", "texts", "scores"}) {
    EXPECT_EQ(database.integer(std::string("SELECT count(*) FROM ") + table), 0) << table;
  }
  // And the store works on.
  store->add_attempt("r", example_attempt("k1", "needle", "c1"), std::nullopt);
}

TEST_F(StoreTest, RefusesRowsOfUnknownRunsAndCells) {
  auto store = Store::open(path_);
  store->add_run(example_run("r"), {example_cell("k1", 0)});
  EXPECT_THROW(store->add_attempt("r", example_attempt("k9", "s", "c"), std::nullopt), Error);
  EXPECT_THROW(store->add_attempt("x", example_attempt("k1", "s", "c"), std::nullopt), Error);
}

TEST_F(StoreTest, TheNewestScoreCounts) {
  auto store = Store::open(path_);
  store->add_run(example_run("r"), {example_cell("k1", 0)});
  ScoreRow score;
  score.grade = "wrong";
  score.values = {{"exact", 0}};
  score.attempt_id = store->add_attempt("r", example_attempt("k1", "needle", "c1"), score);
  score.grade = "correct";
  score.values = {{"exact", 1}};
  score.suite_version = 2;
  store->add_score(score);
  const auto attempts = store->attempts("r", false);
  ASSERT_EQ(attempts.size(), 1u);
  EXPECT_EQ(attempts[0].score->grade, "correct");
  EXPECT_EQ(attempts[0].score->values.at("exact"), 1);
}

TEST_F(StoreTest, KeepsLaunchesAndTheirSamples) {
  auto store = Store::open(path_);
  store->add_run(example_run("r"), {example_cell("k1", 0)});
  LaunchRow launch;
  launch.cell_key = "k1";
  launch.outcome = "KERNEL_CRASH";
  launch.phase = "prefill";
  launch.signal = 11;
  launch.message = "killed by SIGSEGV";
  launch.log_tail = "last line";
  launch.seconds = 2.5;
  launch.guard = R"({"action":"hard"})";
  store->add_launch("r", launch, {{"peak_memory", 1e9, 2.0, ""}, {"load_time", 0.5, 0.5, "load"}});
  EXPECT_THROW(store->add_launch("r", launch, {}), Error);
  const auto launches = store->launches("r");
  ASSERT_EQ(launches.size(), 1u);
  EXPECT_EQ(launches[0].signal, 11);
  EXPECT_EQ(launches[0].log_tail, "last line");
  EXPECT_EQ(launches[0].guard, launch.guard);
  const auto samples = store->launch_samples("r");
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[0].sample.metric, "peak_memory");
  EXPECT_EQ(samples[1].sample.phase, "load");
}

TEST_F(StoreTest, KeepsTheQueueAndWhatBecameOfIt) {
  auto store = Store::open(path_);
  TurnRow first{.ordinal = 0, .cell_key = "k2", .need_bytes = int64_t{5} << 40};
  TurnRow second{.ordinal = 1, .cell_key = "k1"};
  store->add_run(example_run("r"), {example_cell("k1", 0), example_cell("k2", 1)}, {first, second});
  second.state = "skipped";
  second.reason = "it needs at least as much";
  store->set_turn("r", second, std::nullopt);
  first.state = "slow";
  store->set_turn("r", first, TurnRow{.cell_key = "k2", .again_of = 0});
  const auto queue = store->queue("r");
  ASSERT_EQ(queue.size(), 3u);
  EXPECT_EQ(queue[0].cell_key, "k2");
  EXPECT_EQ(queue[0].need_bytes, int64_t{5} << 40);
  EXPECT_EQ(queue[0].state, "slow");
  EXPECT_EQ(queue[1].state, "skipped");
  EXPECT_EQ(queue[1].reason, "it needs at least as much");
  EXPECT_EQ(queue[2].ordinal, 2);
  EXPECT_EQ(queue[2].again_of, 0);
  EXPECT_EQ(queue[2].state, "waiting");
  // A run without a queue of its own runs its cells as they stand.
  store->add_run(example_run("s"), {example_cell("k1", 0), example_cell("k2", 1)});
  ASSERT_EQ(store->queue("s").size(), 2u);
  EXPECT_EQ(store->queue("s")[1].cell_key, "k2");
  EXPECT_THROW(store->add_run(example_run("t"), {}, {first}), Error) << "a turn of no cell";
  EXPECT_EQ(store->runs().size(), 2u);
}

TEST_F(StoreTest, FindsRunsByPrefixAndLatest) {
  auto store = Store::open(path_);
  EXPECT_THROW(store->run("latest"), Error);
  RunRow older = example_run("abc-1"), newer = example_run("abd-2");
  older.started_at = "2026-01-01T00:00:00Z";
  newer.started_at = "2026-01-02T00:00:00Z";
  store->add_run(newer, {});
  store->add_run(older, {});
  EXPECT_EQ(store->run("latest").id, "abd-2");
  EXPECT_EQ(store->run("abc").id, "abc-1");
  EXPECT_EQ(store->run("abc-1").id, "abc-1");
  for (const char* id : {"ab", "zzz", ""}) EXPECT_THROW(store->run(id), Error) << id;
  try {
    store->run("zzz");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kUsage);
    EXPECT_THAT(e.hint(), HasSubstr("abd-2"));
  }
}

TEST_F(StoreTest, ABaselineIsANameForARun) {
  auto store = Store::open(path_);
  store->add_run(example_run("aaaa-1"), {});
  store->add_run(example_run("bbbb-2"), {});
  store->set_baseline({"green", "aaaa-1", "2026-01-01T00:00:00Z"});
  EXPECT_EQ(store->run("baseline:green").id, "aaaa-1");
  store->set_baseline({"green", "bbbb-2", "2026-01-02T00:00:00Z"});
  store->set_baseline({"old", "aaaa-1", "2026-01-02T00:00:00Z"});
  ASSERT_EQ(store->baselines().size(), 2u);
  EXPECT_EQ(store->baselines()[0].run_id, "bbbb-2");
  EXPECT_EQ(store->baselines()[0].set_at, "2026-01-02T00:00:00Z");
  store->remove_baseline("green");
  try {
    store->run("baseline:green");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_NE(std::string(error.what()).find("which names old"), std::string::npos);
  }
  EXPECT_THROW(store->remove_baseline("green"), Error);
  EXPECT_EQ(store->run("bbbb").id, "bbbb-2") << "the run stays";
  for (const char* name : {"", "a b", "a:b", "../x", "gr\xc3\xbcn"}) {
    EXPECT_THROW(store->set_baseline({name, "aaaa-1", ""}), Error) << name;
  }
  EXPECT_THROW(store->set_baseline({"x", "no-such-run", ""}), Error);
}

TEST_F(StoreTest, AReaderSeesWhatAWriterCommitted) {
  auto writer = Store::open(path_);
  writer->add_run(example_run("r"), {example_cell("k1", 0)});
  auto reader = Store::open_read_only(path_);
  EXPECT_EQ(reader->attempts("r", true).size(), 0u);
  writer->add_attempt("r", example_attempt("k1", "needle", "c1"), std::nullopt);
  EXPECT_EQ(reader->attempts("r", true).size(), 1u);
  EXPECT_THROW(reader->finish_run("r", "now"), Error);
}

TEST_F(StoreTest, ReadingWhileItIsWrittenSeesWholeAttempts) {
  auto writer = Store::open(path_);
  writer->add_run(example_run("r"), {example_cell("k1", 0)});
  const size_t events = example_attempt("k1", "needle", "x").events.size();
  std::atomic<bool> done = false;
  std::thread reading([&] {
    const auto reader = Store::open_read_only(path_);
    while (!done) {
      for (const StoredAttempt& attempt : reader->attempts("r", false)) {
        EXPECT_EQ(attempt.events.size(), events);
      }
    }
  });
  for (int i = 0; i < 300; ++i) {
    writer->add_attempt("r", example_attempt("k1", "needle", "c" + std::to_string(i)),
                        std::nullopt);
  }
  done = true;
  reading.join();
}

}  // namespace
}  // namespace ds4::reports

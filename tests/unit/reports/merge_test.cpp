// Databases joined: nothing twice, nothing lost, shards of a sweep as one run, and what is refused.
#include "reports/store/merge.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <random>
#include <set>

#include "engine/base/error.h"
#include "reports/store/database.h"
#include "reports/store/migrations.h"
#include "reports/store/store.h"
#include "tests/unit/reports/fixtures.h"

namespace ds4::reports {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Path = std::filesystem::path;
using Paths = std::vector<Path>;

constexpr int kShards = 3;

// Every row of every table, so that two equal texts are two equal databases.
std::string dump(const Path& path) {
  Database database(path, Database::Mode::kReadOnly);
  std::string text;
  for (const char* table : merged_tables()) {
    Statement rows(database, std::string("SELECT * FROM ") + table + " ORDER BY 1, 2");
    while (rows.step()) {
      text += table;
      for (int i = 0; i < rows.columns(); ++i) text += "|" + rows.text(i);
      text += "\n";
    }
  }
  return text;
}

class MergeTest : public testing::Test {
 protected:
  Path db(const std::string& name) const { return folder_.path() / (name + ".db"); }

  // A run of two cases in each of its cells. Shard 0 runs all three cells.
  Path write_run(const std::string& name, const std::string& id, int shard,
                 const std::function<void(RunRow&, std::vector<CellRow>&)>& change = {}) const {
    RunRow run = example_run(id);
    run.sweep = "the sweep";
    run.shard = shard;
    run.shards = shard == 0 ? 1 : kShards;
    run.machine = R"({"cpu":"cpu )" + std::to_string(shard) + R"(","cores":2})";
    std::vector<CellRow> cells;
    for (int i = 0; i < kShards; ++i) {
      cells.push_back(example_cell("k" + std::to_string(i + 1), i));
      cells.back().shard = shard == 0 ? 0 : i + 1;
      if (shard == 0 || shard == i + 1) {
        cells.back().checkpoint_path = "checkpoints/x";
        cells.back().checkpoint_identity = "feed";
      }
    }
    if (change) change(run, cells);
    const auto store = Store::open(db(name));
    store->add_run(run, cells);
    for (const CellRow& cell : cells) {
      if (cell.shard != shard) continue;
      add_launch(*store, id, cell.key, 1);
      for (const char* case_id : {"c1", "c2"}) add_attempt(*store, id, cell.key, case_id, 1);
    }
    store->finish_run(id, "2026-01-01T01:00:0" + std::to_string(shard) + "Z");
    return db(name);
  }

  static void add_launch(Store& store, const std::string& run, const std::string& cell,
                         int number) {
    LaunchRow launch;
    launch.cell_key = cell;
    launch.number = number;
    launch.outcome = "ok";
    launch.seconds = 2;
    launch.started_at = "2026-01-01T00:00:0" + std::to_string(number) + "Z";
    store.add_launch(run, launch, {{"load_time", 0.5, 0.5, "load"}});
  }

  static int64_t add_attempt(Store& store, const std::string& run, const std::string& cell,
                             const std::string& case_id, int number) {
    AttemptRow attempt = example_attempt(cell, "needle", case_id);
    attempt.exchanges = {example_exchange(cell + case_id)};
    if (case_id == "c1") attempt.trace = "trace of " + cell + std::string(500, 't');
    attempt.number = attempt.launch = number;
    attempt.text = "answer of " + run + " to " + cell + case_id + std::string(2000, 'x');
    attempt.samples = {{"ttft", 0.25, 0.5, "prefill"}};
    ScoreRow score;
    score.grade = case_id == "c1" ? "correct" : "wrong";
    score.values = {{"exact", case_id == "c1" ? 1.0 : 0.0}};
    return store.add_attempt(run, attempt, score);
  }

  Paths write_shards() const {
    return {write_run("s1", "11111111-a", 1), write_run("s2", "22222222-a", 2),
            write_run("s3", "33333333-a", 3)};
  }

  MergeResult merge(const Paths& sources, const MergeOptions& options = {}) const {
    return merge_databases(db("out"), sources, options);
  }

  // The message of the refusal; `out` must stay as it was.
  std::string refusal(const Paths& sources) const {
    const std::string before = std::filesystem::exists(db("out")) ? dump(db("out")) : "";
    try {
      merge(sources);
    } catch (const Error& error) {
      EXPECT_EQ(dump(db("out")), before);
      return std::string(error.what()) + " " + error.hint();
    }
    return "not refused";
  }

  TemporaryFolder folder_;
};

TEST_F(MergeTest, KnowsEveryTable) {
  Store::open(db("out"));
  Database database(db("out"), Database::Mode::kReadOnly);
  Statement tables(database, "SELECT name FROM sqlite_schema WHERE type = 'table'");
  std::set<std::string> known(merged_tables().begin(), merged_tables().end());
  while (tables.step()) {
    EXPECT_EQ(known.erase(tables.text(0)), 1u)
        << "merge_run.cpp does not say how rows of `" << tables.text(0) << "` are joined";
  }
  EXPECT_THAT(known, IsEmpty());
}

TEST_F(MergeTest, TracesGoWithTheirAttempts) {
  merge(write_shards());
  const auto store = Store::open_read_only(db("out"));
  int traces = 0;
  for (const StoredAttempt& attempt : store->attempts(store->run("latest").id, false)) {
    const std::string trace = store->trace(attempt.id);
    EXPECT_EQ(trace.empty(), attempt.case_id != "c1");
    if (trace.empty()) continue;
    ++traces;
    EXPECT_TRUE(trace.starts_with("trace of " + attempt.cell_key + "t")) << trace;
  }
  EXPECT_EQ(traces, 3);
}

TEST_F(MergeTest, KeepsUnrelatedRunsOnce) {
  const Path a = write_run("a", "aaaaaaaa-1", 0), b = write_run("b", "bbbbbbbb-1", 0);
  const MergeResult first = merge({a, b});
  EXPECT_EQ(first.added, 2);
  EXPECT_EQ(first.attempts_added, 12);
  EXPECT_THAT(first.sweeps, IsEmpty());
  const std::string once = dump(db("out"));
  const MergeResult again = merge({b, a, db("out")});
  EXPECT_EQ(again.added + again.grown, 0);
  EXPECT_EQ(dump(db("out")), once);
  const auto out = Store::open_read_only(db("out")), source = Store::open_read_only(a);
  const auto attempts = out->attempts("aaaaaaaa-1", true),
             was = source->attempts("aaaaaaaa-1", true);
  ASSERT_EQ(attempts.size(), was.size());
  for (size_t i = 0; i < was.size(); ++i) {
    EXPECT_EQ(attempts[i].text, was[i].text);
    EXPECT_EQ(attempts[i].launch, was[i].launch);
    EXPECT_EQ(attempts[i].events.size(), was[i].events.size());
    EXPECT_EQ(attempts[i].samples.size(), was[i].samples.size());
    EXPECT_EQ(attempts[i].score->values, was[i].score->values);
  }
  EXPECT_EQ(out->launch_samples("aaaaaaaa-1").size(), 3u);
  EXPECT_EQ(out->queue("aaaaaaaa-1").size(), 3u);
  EXPECT_EQ(out->run("aaaaaaaa").finished_at, source->run("aaaaaaaa").finished_at);
}

TEST_F(MergeTest, MakesOneRunOfShards) {
  const Paths shards = write_shards();
  const MergeResult result = merge(shards);
  ASSERT_EQ(result.sweeps.size(), 1u);
  EXPECT_THAT(result.sweeps[0].missing, IsEmpty());
  EXPECT_EQ(result.sweeps[0].machines, 3);
  const auto store = Store::open_read_only(db("out"));
  ASSERT_EQ(store->runs().size(), 1u);
  const RunRow run = store->runs()[0];
  EXPECT_EQ(run.id, result.sweeps[0].run_id);
  EXPECT_EQ(run.shard, 0);
  EXPECT_EQ(run.finished_at, "2026-01-01T01:00:03Z");
  EXPECT_THAT(run.machine, HasSubstr(R"("cpu":["cpu 1","cpu 2","cpu 3"])"));
  EXPECT_THAT(run.machine, HasSubstr(R"("cores":2)"));
  EXPECT_EQ(store->attempts(run.id, false).size(), 6u);
  const auto cells = store->cells(run.id);
  ASSERT_EQ(cells.size(), 3u);
  for (const CellRow& cell : cells) EXPECT_EQ(cell.checkpoint_identity, "feed");
  const auto parts = store->parts(run.id);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[1].source_id, "22222222-a");
  EXPECT_THAT(parts[1].machine, HasSubstr("cpu 2"));
  for (const LaunchRow& launch : store->launches(run.id)) {
    EXPECT_EQ("k" + std::to_string(launch.part), launch.cell_key);
  }
  EXPECT_EQ(store->queue(run.id).size(), 3u);
}

TEST_F(MergeTest, TheOrderOfDatabasesDoesNotMatter) {
  const Paths shards = write_shards();
  merge(shards);
  merge_databases(db("other"), Paths{shards[2], shards[0], shards[1], shards[0]}, {});
  EXPECT_EQ(dump(db("other")), dump(db("out")));
}

TEST_F(MergeTest, TakesTheMissingShardLater) {
  const Paths shards = write_shards();
  const MergeResult two = merge({shards[0], shards[2]});
  EXPECT_THAT(two.sweeps.at(0).missing, ElementsAre(2));
  {
    const auto store = Store::open_read_only(db("out"));
    EXPECT_EQ(store->run("latest").finished_at, "");
    EXPECT_EQ(store->cells(store->run("latest").id).size(), 3u);
    EXPECT_EQ(store->queue(store->run("latest").id).size(), 3u);  // resume can run the third
  }
  EXPECT_THAT(merge({shards[1]}).sweeps.at(0).missing, IsEmpty());
  const auto store = Store::open_read_only(db("out"));
  EXPECT_EQ(store->run("latest").finished_at, "2026-01-01T01:00:03Z");
  EXPECT_EQ(store->cells(store->run("latest").id)[1].checkpoint_identity, "feed");
  EXPECT_EQ(store->queue(store->run("latest").id).size(), 3u);
  EXPECT_EQ(merge(shards).attempts_added, 0);
}

TEST_F(MergeTest, ADatabaseOfAShardCanTakeTheOthers) {
  const Paths shards = write_shards();
  merge(shards);
  merge_databases(shards[1], Paths{shards[0], shards[2]}, {});
  const auto store = Store::open_read_only(shards[1]), all = Store::open_read_only(db("out"));
  ASSERT_EQ(store->runs().size(), 1u);
  EXPECT_EQ(store->runs()[0].id, all->runs()[0].id);
  EXPECT_EQ(store->attempts(store->runs()[0].id, true).size(), 6u);
  EXPECT_EQ(store->parts(store->runs()[0].id).size(), 3u);
}

TEST_F(MergeTest, JoinsJoinedRuns) {
  const Paths shards = write_shards();
  merge_databases(db("left"), Paths{shards[0], shards[1]}, {});
  merge_databases(db("right"), Paths{shards[1], shards[2]}, {});
  const MergeResult result = merge({db("right"), db("left")});
  EXPECT_EQ(result.attempts_added, 6);
  EXPECT_THAT(result.sweeps.at(0).missing, IsEmpty());
}

TEST_F(MergeTest, RowsThatCameLaterAreAdded) {
  const Path a = write_run("a", "aaaaaaaa-1", 0);
  const Path shard = write_run("s1", "11111111-a", 1);
  merge({a, shard});
  for (const auto& [path, id] : {std::pair{a, "aaaaaaaa-1"}, std::pair{shard, "11111111-a"}}) {
    const auto store = Store::open(path);
    add_attempt(*store, id, "k1", "c1", 2);
    add_launch(*store, id, "k1", 2);
    ScoreRow again;
    again.attempt_id = 1;
    again.grade = "invalid";
    store->add_score(again);
  }
  const MergeResult grown = merge({a, shard});
  EXPECT_EQ(grown.grown, 2);
  EXPECT_EQ(grown.attempts_added, 2);
  const auto store = Store::open_read_only(db("out"));
  for (const RunRow& run : store->runs()) {
    const auto attempts = store->attempts(run.id, false);
    EXPECT_EQ(attempts[0].score->grade, "invalid") << run.id;
    EXPECT_EQ(attempts.back().number, 2);
    EXPECT_EQ(attempts.back().launch, 2);
    EXPECT_EQ(store->launches(run.id).back().number, 2);
  }
  const std::string once = dump(db("out"));
  EXPECT_EQ(merge({a, shard}).grown, 0);
  EXPECT_EQ(dump(db("out")), once);
}

TEST_F(MergeTest, RefusesACellMeasuredTwiceOrKeepsItAsRepeats) {
  Paths shards = write_shards();
  shards.push_back(write_run("s2b", "22222222-b", 2));
  EXPECT_THAT(refusal(shards), HasSubstr("k2 (kv_dtype=k2) was measured twice"));
  EXPECT_THAT(refusal(shards), HasSubstr("--keep-repeats"));
  MergeOptions keep;
  keep.keep_repeats = true;
  merge(shards, keep);
  const auto store = Store::open_read_only(db("out"));
  std::vector<int> numbers, launches;
  for (const StoredAttempt& attempt : store->attempts(store->run("latest").id, true)) {
    if (attempt.cell_key != "k2" || attempt.case_id != "c1") continue;
    numbers.push_back(attempt.number);
    launches.push_back(attempt.launch);
    EXPECT_THAT(attempt.text, HasSubstr(attempt.number == 1 ? "22222222-a" : "22222222-b"));
  }
  EXPECT_THAT(numbers, ElementsAre(1, 2));
  EXPECT_THAT(launches, ElementsAre(1, 2));
  EXPECT_EQ(store->queue(store->run("latest").id).size(), 4u);
  const std::string once = dump(db("out"));
  merge(shards);  // nothing new, so nothing to refuse
  EXPECT_EQ(dump(db("out")), once);
}

TEST_F(MergeTest, ExecutionsWithASweepIdStayApart) {
  const auto named = [](const char* name) {
    return [name](RunRow& run, std::vector<CellRow>&) { run.sweep_id = name; };
  };
  merge({write_run("a", "11111111-a", 1, named("monday")),
         write_run("b", "11111111-b", 1, named("tuesday"))});
  EXPECT_EQ(Store::open_read_only(db("out"))->runs().size(), 2u);
}

TEST_F(MergeTest, RefusesAnotherCommitAndAnotherCheckpointUnlessForced) {
  const Path one = write_run("s1", "11111111-a", 1);
  const auto other_commit = [](RunRow& run, auto&) { run.commit = "fedcba9876543210"; };
  const auto other_weights = [](RunRow& run, auto&) { run.checkpoint_identity = "beef"; };
  const Path commit = write_run("s2", "22222222-a", 2, other_commit);
  const Path weights = write_run("s3", "33333333-a", 3, other_weights);
  EXPECT_THAT(refusal({one, commit}), HasSubstr("fedcba987654"));
  EXPECT_THAT(refusal({one, weights}), HasSubstr("beef"));
  MergeOptions force;
  force.force = true;
  EXPECT_EQ(merge({one, commit, weights}, force).added, 3);
}

TEST_F(MergeTest, RefusesARunThatWentOnDifferently) {
  const Path a = write_run("a", "aaaaaaaa-1", 0);
  const Path b = write_run("b", "aaaaaaaa-1", 0);
  Database(b, Database::Mode::kCreate)
      .execute("UPDATE attempts SET end_s = 9 WHERE id = 2", "test");
  EXPECT_THAT(refusal({a, b}), HasSubstr("went on differently"));
}

TEST_F(MergeTest, ReadsAnOlderSchemaAndLeavesItAlone) {
  {
    Database old(db("old"), Database::Mode::kCreate);
    migrate(old, all_migrations().first(1));
    old.execute(
        "INSERT INTO runs VALUES ('old-run', 'p', 'p.toml', '', '{}', 'c', 0, '1', '{}', "
        "'', '', 'ds4-sweep', '2025-01-01T00:00:00Z', '2025-01-01T00:01:00Z')",
        "test");
  }
  EXPECT_EQ(merge({db("old")}).added, 1);
  EXPECT_EQ(Store::open_read_only(db("out"))->run("old-run").profile_name, "p");
  EXPECT_EQ(Database(db("old"), Database::Mode::kReadOnly).integer("PRAGMA user_version"), 1);
}

TEST_F(MergeTest, RefusesWhatIsNoDatabase) {
  EXPECT_THROW(merge({db("absent")}), Error);
  EXPECT_FALSE(std::filesystem::exists(db("out")));
}

TEST_F(MergeTest, BaselinesFollowTheirRun) {
  const Path shard = write_run("s1", "11111111-a", 1);
  Store::open(shard)->set_baseline({"good", "11111111-a", "2026-01-01T00:00:00Z"});
  const MergeResult result = merge({shard});
  EXPECT_EQ(Store::open_read_only(db("out"))->run("baseline:good").id, result.sweeps[0].run_id);
}

TEST_F(MergeTest, KilledAtAnyMomentItIsAsItWasOrComplete) {
  const Paths shards = write_shards();
  merge({shards[0]});
  const std::string before = dump(db("out"));
  std::filesystem::copy_file(db("out"), db("whole"));
  const auto begin = std::chrono::steady_clock::now();
  merge_databases(db("whole"), shards, {});
  const auto whole = std::chrono::steady_clock::now() - begin;
  const auto window = std::chrono::duration_cast<std::chrono::microseconds>(2 * whole).count();
  const std::string after = dump(db("whole"));
  std::mt19937 random(11);
  int as_it_was = 0, complete = 0;
  for (int round = 0; round < 40; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      merge(shards);
      ::_exit(0);
    }
    // Anywhere in twice the time it took; some at once and some not at all, on any machine.
    const bool at_once = round % 8 == 0, not_at_all = round % 8 == 7;
    if (!at_once) ::usleep(static_cast<useconds_t>(random() % static_cast<uint64_t>(window)));
    if (!not_at_all) ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const std::string now = dump(db("out"));
    as_it_was += now == before;
    complete += now == after;
    ASSERT_EQ(as_it_was + complete, round + 1) << now;
    if (now == before) continue;
    for (const char* tail : {"", "-wal", "-shm"})
      std::filesystem::remove(db("out").string() + tail);
    merge({shards[0]});
  }
  EXPECT_GT(as_it_was, 0);
  EXPECT_GT(complete, 0);
}

}  // namespace
}  // namespace ds4::reports

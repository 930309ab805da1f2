// Sweeps through the binary: order, repeats and decisions survive a kill; what cannot fit is not
// launched, and the store says why.
#include "tests/e2e/sweep.h"

#include <gmock/gmock.h>
#include <signal.h>

#include <nlohmann/json.hpp>

#include "tests/support/source_dir.h"

namespace ds4::test_support {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

constexpr const char* kOk = R"({"rules": [{"text": "OK"}]})";
const std::string kThree =
    "[[suite]]\nname = \"smoke\"\n[sweep]\n\"engine.context_length\" = [8192, 16384, 4096]\n";

std::vector<std::string> order_of(reports::Store& store, const std::string& run) {
  std::vector<std::string> keys;
  for (const auto& turn : store.queue(run)) keys.push_back(turn.cell_key);
  return keys;
}

std::vector<std::string> launched(reports::Store& store, const std::string& run) {
  std::vector<std::string> keys;
  for (const auto& launch : store.launches(run)) keys.push_back(launch.cell_key);
  return keys;
}

TEST(SweepRun, RepeatsInRoundsAndSaysWhichLaunchAnswered) {
  const Sweep sweep(kOk, kThree + "repeats = 3\norder = \"random\"\nseed = 5\n");
  ASSERT_EQ(sweep.run().exit_code, 0);
  const auto store = sweep.store();
  const std::string run = store->run("latest").id;
  EXPECT_EQ(store->queue(run).size(), 9u);
  EXPECT_EQ(launched(*store, run), order_of(*store, run));
  std::map<std::string, std::set<int>> launches;
  for (const auto& attempt : store->attempts(run, false)) {
    EXPECT_EQ(attempt.number, attempt.launch);
    launches[attempt.cell_key + attempt.suite + attempt.case_id].insert(attempt.launch);
  }
  EXPECT_EQ(launches.size(), 60u);
  for (const auto& [name, numbers] : launches) EXPECT_EQ(numbers, (std::set{1, 2, 3})) << name;
  EXPECT_EQ(sweep.resume().exit_code, 0);
  EXPECT_EQ(store->launches(run).size(), 9u) << "nothing was left to do";
}

// Whatever is predicted of a cell (here nothing): who looks at the memory takes some time.
TEST(SweepRun, EveryLaunchWaitsForMemoryToBeBack) {
  const Sweep sweep(kOk, kThree);
  ASSERT_EQ(sweep.run().exit_code, 0);
  const auto store = sweep.store();
  int waits = 0;
  for (const auto& sample : store->launch_samples(store->run("latest").id)) {
    if (sample.sample.metric != "settle_time") continue;
    ++waits;
    EXPECT_GT(sample.sample.value, 0);
  }
  EXPECT_EQ(waits, 3);
}

TEST(SweepRun, GoesOnInTheSameOrderAfterAKill) {
  const Sweep sweep(R"({"rules": [{"text": "OK", "delay_ms": 20}]})",
                    kThree + "repeats = 2\norder = \"random\"\nseed = 9\n");
  for (int kills = 0; kills < 3; ++kills) {
    const size_t before = sweep.answered().size();
    const pid_t pid = start_command(
        sweep.command(kills == 0 ? std::vector<std::string>{"run", sweep.profile(), "--no-progress"}
                                 : std::vector<std::string>{"resume", "latest", "--no-progress"}));
    for (int i = 0; i < 2400 && sweep.answered().size() < before + 5; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(25));
    }
    ::kill(pid, SIGKILL);
    wait_command(pid);
  }
  const auto order = order_of(*sweep.store(), sweep.store()->run("latest").id);
  EXPECT_EQ(sweep.resume().exit_code, 0);
  const auto store = sweep.store();
  const std::string run = store->run("latest").id;
  EXPECT_EQ(order_of(*store, run), order);
  std::map<std::string, int> times;
  for (const auto& [name, n] : sweep.answered()) times[name] = n;
  EXPECT_EQ(times.size(), 60u);
  for (const auto& [name, n] : times) EXPECT_EQ(n, 2) << name;
  for (const auto& turn : store->queue(run)) EXPECT_EQ(turn.state, "done");
  // Cells began in the order of the queue, whatever was launched again in between.
  std::vector<std::string> begun = launched(*store, run);
  begun.erase(std::unique(begun.begin(), begun.end()), begun.end());
  std::vector<std::string> wanted = order;
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  EXPECT_EQ(begun, wanted);
}

// A run of which one cell has run out of memory, and nothing else was launched.
std::string run_out_of_memory(const Sweep& sweep, const std::string& label, const char* outcome) {
  sweep.run();
  const auto store = reports::Store::open(sweep.db());
  reports::RunRow run = store->run("latest");
  const auto cells = store->cells(run.id);
  run.id = "aaaaaaaa-0000-4000-8000-000000000000";
  run.finished_at = "";
  store->add_run(run, cells);
  for (const auto& cell : cells) {
    if (cell.label != label) continue;
    reports::LaunchRow launch;
    launch.cell_key = cell.key;
    launch.outcome = outcome;
    launch.phase = "load";
    store->add_launch(run.id, launch, {});
  }
  return run.id;
}

TEST(SweepRun, SkipsWhatNeedsAsMuchAsACellOutOfMemoryAndSaysWhy) {
  const Sweep sweep(kOk, kThree);
  const std::string id = run_out_of_memory(sweep, "context_length=8192", "LOAD_OOM");
  const CommandResult result = run_command(sweep.command({"resume", id}));
  const auto store = sweep.store();
  std::map<std::string, reports::TurnRow> turns;
  for (const auto& cell : store->cells(id)) {
    for (const auto& turn : store->queue(id)) {
      if (turn.cell_key == cell.key) turns[cell.label] = turn;
    }
  }
  EXPECT_EQ(turns["context_length=4096"].state, "done");
  EXPECT_EQ(turns["context_length=8192"].state, "skipped");
  EXPECT_THAT(turns["context_length=8192"].reason, HasSubstr("launch 1 ended with LOAD_OOM"));
  EXPECT_EQ(turns["context_length=16384"].state, "skipped");
  EXPECT_THAT(turns["context_length=16384"].reason,
              HasSubstr("at least as much memory as context_length=8192"));
  EXPECT_THAT(result.err, HasSubstr("context_length=16384: skipped: it needs at least as much"));
  EXPECT_THAT(result.out, HasSubstr("20 of 20 cases have no answer: it needs at least as much"));
  EXPECT_THAT(result.out, HasSubstr("resume aaaaaaaa --retry tries the missing cases again"));
  EXPECT_NE(result.exit_code, 0) << "not everything was measured";
  EXPECT_EQ(store->launches(id).size(), 2u);
  // The decision stands when the run is resumed, and falls only when asked for.
  run_command(sweep.command({"resume", id, "--no-progress"}));
  EXPECT_EQ(store->launches(id).size(), 2u);
  EXPECT_EQ(run_command(sweep.command({"resume", id, "--retry", "--no-progress"})).exit_code, 0);
  EXPECT_EQ(store->launches(id).size(), 4u);
  for (const auto& turn : store->queue(id)) EXPECT_EQ(turn.state, "done");
}

// The second cell takes memory until there is none: the third needs more and is not tried.
TEST(SweepRun, ACellOutOfMemoryTakesTheGreaterOnesWithIt) {
  const Sweep sweep(
      R"({"rules": [{"seed": 2, "contains": "Japan", "grow": true}, {"text": "OK"}]})",
      "[[suite]]\nname = \"smoke\"\n[[sweep.zip]]\n"
      "\"engine.context_length\" = [4096, 8192, 16384]\n\"engine.seed\" = [1, 2, 3]\n");
  EXPECT_EQ(sweep.run_in_little_memory().exit_code, 4);
  const auto store = sweep.store();
  const std::string id = store->run("latest").id;
  const auto launches = store->launches(id);
  ASSERT_EQ(launches.size(), 2u);
  EXPECT_EQ(launches[0].outcome, "ok");
  EXPECT_EQ(launches[1].outcome, "PREFILL_OOM");
  const auto queue = store->queue(id);
  ASSERT_EQ(queue.size(), 3u);
  EXPECT_EQ(queue[1].state, "done");
  EXPECT_EQ(queue[2].state, "skipped");
  EXPECT_THAT(queue[2].reason, HasSubstr("needs at least as much memory as"));
  EXPECT_THAT(queue[2].reason, HasSubstr("which ended with PREFILL_OOM"));
}

TEST(SweepRun, SkippingCanBeTurnedOff) {
  const Sweep sweep(kOk, kThree + "skip_dominated = false\n");
  const std::string id = run_out_of_memory(sweep, "context_length=4096", "WATCHDOG_KILL{load}");
  EXPECT_EQ(run_command(sweep.command({"resume", id, "--no-progress"})).exit_code, 0);
  EXPECT_EQ(sweep.store()->launches(id).size(), 4u);
}

TEST(SweepRun, RefusesWhatDoesNotFitBeforeAnythingIsLaunched) {
  const std::string tiny = source_dir() / "checkpoints/tiny";
  const Sweep sweep(kOk, "checkpoint = \"" + tiny +
                             "\"\n[[suite]]\nname = \"smoke\"\n"
                             "[limits]\nmemory_floor = \"1000TiB\"\n");
  const auto run = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"run", sweep.profile(), "--no-lock", "--set",
                                          "target=engine"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_command(sweep.command(arguments));
  };
  const CommandResult refused = run({});
  EXPECT_EQ(refused.exit_code, 4);
  EXPECT_THAT(refused.err, HasSubstr("refused: it needs"));
  EXPECT_THAT(refused.out, HasSubstr("PREFLIGHT_REFUSED"));
  EXPECT_THAT(refused.out, HasSubstr("20 of 20 cases have no answer: it needs"));
  const auto store = sweep.store();
  const std::string id = store->run("latest").id;
  EXPECT_TRUE(store->launches(id).empty());
  ASSERT_EQ(store->queue(id).size(), 1u);
  EXPECT_EQ(store->queue(id)[0].state, "refused");
  EXPECT_GT(store->queue(id)[0].need_bytes, 0);
}

// A bound that no two readings keep: every launch is slow, and each is repeated once, not more.
TEST(SweepRun, RepeatsALaunchInASlowStateOnce) {
  const Sweep sweep(kOk, kThree + "sentinel = true\nsentinel_bound = 1e-9\n");
  sweep.run();
  const auto store = sweep.store();
  const std::string id = store->run("latest").id;
  const auto queue = store->queue(id);
  ASSERT_EQ(queue.size(), 6u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(queue[i].state, "slow");
    EXPECT_THAT(queue[i].reason, HasSubstr("times slower than this run's best"));
    EXPECT_EQ(queue[i + 3].again_of, static_cast<int>(i));
    EXPECT_EQ(queue[i + 3].state, "done");
  }
  int readings = 0;
  for (const auto& sample : store->launch_samples(id)) {
    readings += sample.sample.metric.text().starts_with("sentinel_");
  }
  EXPECT_EQ(readings, 6 * 4) << "two kinds, before and after";
  sweep.resume();
  EXPECT_EQ(store->launches(id).size(), 6u);
}

TEST(SweepRun, ALooseBoundCallsNothingSlow) {
  const Sweep sweep(kOk, kThree + "sentinel = true\nsentinel_bound = 50\n");
  EXPECT_EQ(sweep.run().exit_code, 0);
  EXPECT_EQ(sweep.store()->queue(sweep.store()->run("latest").id).size(), 3u);
}

TEST(SweepPlan, ShowsOrderRepeatsAndWhatWasExcluded) {
  const Sweep sweep(kOk, kThree +
                             "repeats = 2\norder = \"random\"\nseed = 4\n"
                             "exclude = [\"engine.context_length > 10000\"]\n");
  const CommandResult text = run_command({DS4_SWEEP_BINARY, "plan", sweep.profile()});
  EXPECT_THAT(text.out, HasSubstr("excluded: 1 cell by `engine.context_length > 10000`"));
  EXPECT_THAT(text.out, HasSubstr("4 launches, shuffled by seed 4, in 2 rounds"));
  const auto json = nlohmann::json::parse(
      run_command({DS4_SWEEP_BINARY, "plan", sweep.profile(), "--json"}).out)["sweep"];
  EXPECT_EQ(json["excluded"][0]["cells"], 1);
  EXPECT_EQ(json["queue"].size(), 4u);
  ASSERT_EQ(sweep.run().exit_code, 0);
  const auto store = sweep.store();
  const auto order = order_of(*store, store->run("latest").id);
  for (size_t i = 0; i < order.size(); ++i) EXPECT_EQ(json["queue"][i]["cell"], order[i]);
}

}  // namespace
}  // namespace ds4::test_support

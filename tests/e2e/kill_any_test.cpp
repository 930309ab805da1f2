// kill -9 of a process of a run (worker, guard or supervisor, in turn) at a random moment, and of
// the resume that follows: the database stays whole, what was committed stays as it is, nothing
// outlives the run, and every cell ends measured, every launch with a reason. DS4_KILLS=500 for
// the long version, and DS4_KILL_SEED=N for other moments.
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <random>
#include <thread>

#include "engine/base/clock.h"
#include "reports/outcomes/outcome.h"
#include "reports/store/database.h"
#include "tests/e2e/sweep.h"

namespace ds4::test_support {
namespace {

using std::chrono::milliseconds;

constexpr int kShort = 9, kLong = 100;  // kills; from kLong on every phase must have been met
constexpr int kKillsOfARun = 2;         // before it is left to finish
constexpr size_t kCells = 2, kCases = 3;
// The phases last for about as long as the guard takes between two readings.
constexpr const char* kScript = R"({
  "open": {"delay_ms": 120}, "capture": {"delay_ms": 110},
  "rules": [{"text": "OK", "delay_ms": 70, "after_token": true, "tokens": 3, "token_ms": 20}],
  "close": {"delay_ms": 110}})";
// The lowest floor, and memory that need not come back: tests beside this one may take the
// machine's memory on purpose.
constexpr const char* kProfile =
    "[guard]\nfloor = \"1MiB\"\n[sweep]\nsettle_tolerance = \"1TiB\"\n\"engine.seed\" = [1, 2]\n"
    "[[suite]]\nname = \"arithmetic\"\ncases = 3\n";

int from_environment(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text ? std::atoi(text) : otherwise;
}

constexpr const char* kVictims[] = {"worker", "guard", "supervisor"};
constexpr const char* kVerbs[] = {"worker", "guard-process", ""};  // behind the program's name

std::vector<pid_t> children_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children");
  std::vector<pid_t> children;
  for (pid_t child; file >> child;) children.push_back(child);
  return children;
}

// What a reader sees of an attempt; by its number in the database.
using Attempts = std::map<int64_t, std::string>;
Attempts attempts_of(const Sweep& sweep) {
  Attempts rows;
  if (!sweep.begun()) return rows;
  const auto store = sweep.store();
  for (const auto& a : store->attempts(store->run("latest").id, true)) {
    std::string row = a.cell_key + " " + a.suite + "/" + a.case_id + " " +
                      std::to_string(a.number) + " of launch " + std::to_string(a.launch) + ": " +
                      a.status + " " + a.outcome + " " + a.started_at + "\n" + a.prompt + "\n" +
                      a.text + "\n" + std::to_string(a.first_token_s) + " " +
                      std::to_string(a.end_s) + " " + (a.score ? a.score->grade : "ungraded");
    for (const auto& event : a.events) row += " " + std::to_string(event.time_s);
    rows[a.id] = std::move(row);
  }
  return rows;
}

struct Tally {
  int killed[3] = {};
  int missed = 0;  // the run had ended, or had no such process at that moment
  size_t committed = 0, lost = 0;
  int launches = 0, without_reason = 0;
  std::map<std::string, int> moments, outcomes;
  int kills() const { return killed[0] + killed[1] + killed[2]; }
};

void expect_whole(const std::filesystem::path& file) {
  reports::Database database(file, reports::Database::Mode::kReadOnly);
  reports::Statement check(database, "PRAGMA integrity_check");
  ASSERT_TRUE(check.step());
  EXPECT_EQ(check.text(0), "ok");
  reports::Statement dangling(database, "PRAGMA foreign_key_check");
  EXPECT_FALSE(dangling.step());
}

// How the launches of the run ended, for messages.
std::string ends_of(const Sweep& sweep) {
  std::string text;
  const auto store = sweep.store();
  for (const auto& launch : store->launches(store->run("latest").id)) {
    text += "\n" + launch.cell_key + ": " + launch.outcome + " in " + launch.phase + ": " +
            launch.message;
  }
  return text;
}

// Starts the run, or goes on with it, and kills one of its processes at a moment of `run_s`, or of
// what is left of it. False when there was none to kill.
bool kill_one(const Sweep& sweep, int victim, std::mt19937& random, double run_s) {
  const double left = 1 - static_cast<double>(sweep.answered().size()) / (kCells * kCases + 1);
  const pid_t supervisor = start_command(
      sweep.command(sweep.begun() ? std::vector<std::string>{"resume", "latest"}
                                  : std::vector<std::string>{"run", sweep.profile()}));
  const double moment =
      monotonic_seconds() + run_s * left * static_cast<double>(random() % 1000) / 1000;
  while (monotonic_seconds() < moment && alive(supervisor)) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  const std::vector<pid_t> others = children_of(supervisor);
  const std::string verb = kVerbs[victim];
  const pid_t pid = verb.empty() ? supervisor : child_running(supervisor, verb);
  const bool killed = pid > 0 && alive(pid);
  if (killed) ::kill(pid, SIGKILL);
  const int code = wait_command(supervisor);
  if (!verb.empty() || !killed) {
    EXPECT_TRUE(code == 0 || code == 4) << code;
  }
  for (const pid_t other : others) {
    for (int i = 0; i < 1000 && alive(other); ++i) std::this_thread::sleep_for(milliseconds(10));
    EXPECT_FALSE(alive(other)) << "child " << other << " outlived its run";
  }
  return killed;
}

// A run that is killed, resumed and killed again, and resumed until it is whole.
void kill_a_run(std::mt19937& random, double run_s, Tally& tally) {
  const Sweep sweep(kScript, kProfile);
  Attempts promised;
  int killed = 0;
  for (int i = 0; i < kKillsOfARun; ++i) {
    const int victim = tally.kills() % 3;
    if (kill_one(sweep, victim, random, run_s)) {
      ++tally.killed[victim];
      ++killed;
    } else {
      ++tally.missed;
    }
    if (!sweep.begun()) continue;  // nothing was promised yet
    expect_whole(sweep.db());
    promised.merge(attempts_of(sweep));
  }
  CommandResult last = sweep.begun() ? sweep.resume() : sweep.run();
  // With a supervisor that is gone while the kernel ended anybody on this machine for memory, that
  // is what its end is called, and the cell is not launched again unasked.
  if (last.exit_code == 4 && ends_of(sweep).find("HOST_OOM") != std::string::npos) {
    last = run_command(sweep.command({"resume", "latest", "--retry", "--no-progress"}));
  }
  EXPECT_EQ(last.exit_code, 0) << last.err << ends_of(sweep);
  expect_whole(sweep.db());
  const auto answers = sweep.answered();
  EXPECT_EQ(answers.size(), kCells * kCases);
  for (const auto& [name, n] : answers) EXPECT_EQ(n, 1) << name << " was measured again";
  const Attempts now = attempts_of(sweep);
  for (const auto& [id, row] : promised) {
    const auto found = now.find(id);
    if (found != now.end() && found->second == row) continue;
    ++tally.lost;
    ADD_FAILURE() << row << "\nis now\n" << (found == now.end() ? "gone" : found->second);
  }
  tally.committed += promised.size();
  const auto store = sweep.store();
  const auto run = store->run("latest");
  EXPECT_FALSE(run.finished_at.empty());
  for (const auto& launch : store->launches(run.id)) {
    ++tally.launches;
    ++tally.outcomes[launch.outcome];
    if (launch.outcome == "ok") continue;
    const bool told = launch.outcome != "running" && !launch.message.empty() &&
                      reports::outcome_class(launch.outcome).name == launch.outcome;
    tally.without_reason += told ? 0 : 1;
    ++tally.moments[launch.phase.empty() ? "start or end"
                                         : launch.phase.substr(0, launch.phase.find(':'))];
    --killed;
  }
  tally.moments["between launches"] += killed;  // what no launch ended of
}

double time_of_a_run() {
  const Sweep sweep(kScript, kProfile);
  const double begin = monotonic_seconds();
  EXPECT_EQ(sweep.run().exit_code, 0);
  return monotonic_seconds() - begin;
}

void print(const char* what, const std::map<std::string, int>& counts) {
  std::cout << what;
  for (const auto& [name, n] : counts) std::cout << " " << name << " " << n << ";";
  std::cout << "\n";
}

TEST(KillAny, LosesNothingCommittedAndEveryCellEndsMeasuredOrAttributed) {
  const int wanted = from_environment("DS4_KILLS", kShort);
  std::mt19937 random(static_cast<unsigned>(from_environment("DS4_KILL_SEED", 20260303)));
  const double run_s = time_of_a_run();
  Tally tally;
  while (tally.kills() < wanted && tally.missed < 3 * wanted && !HasFailure()) {
    SCOPED_TRACE("after " + std::to_string(tally.kills()) + " kills");
    kill_a_run(random, run_s, tally);
  }
  std::cout << "kills:";
  for (int i = 0; i < 3; ++i) std::cout << " " << kVictims[i] << " " << tally.killed[i];
  std::cout << ", nobody there " << tally.missed << "; attempts committed before "
            << tally.committed << ", lost or changed " << tally.lost << "; launches "
            << tally.launches << ", without a reason " << tally.without_reason << "\n";
  print("moments:", tally.moments);
  print("launches ended:", tally.outcomes);
  EXPECT_EQ(tally.lost, 0u);
  EXPECT_EQ(tally.without_reason, 0);
  EXPECT_GT(tally.committed, 0u) << "nothing was killed in the middle: the test proved nothing";
  for (int i = 0; i < 3; ++i) {
    EXPECT_GT(tally.killed[i], 0) << "no " << kVictims[i] << " was killed";
  }
  if (wanted < kLong) return;
  for (const char* moment :
       {"load", "capture", "prefill", "decode", "teardown", "between launches"}) {
    EXPECT_GT(tally.moments[moment], 0) << "nothing was killed in: " << moment;
  }
}

}  // namespace
}  // namespace ds4::test_support

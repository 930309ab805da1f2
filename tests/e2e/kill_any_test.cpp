// kill -9 of a random process of a run (worker, guard or supervisor) at a random moment: the
// database stays whole, no committed attempt is lost or repeated, nothing outlives the run, and
// every cell ends measured or with a launch that says why. DS4_KILLS=500 for the long version, and
// DS4_KILL_SEED=N for other moments.
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <random>
#include <set>
#include <thread>

#include "reports/store/database.h"
#include "tests/e2e/sweep.h"

namespace ds4::test_support {
namespace {

using std::chrono::milliseconds;

constexpr int kShort = 9;
constexpr size_t kCells = 2;
constexpr const char* kScript = R"({"rules": [{"text": "OK", "delay_ms": 30}]})";
// The lowest floor: tests beside this one may take the machine's memory on purpose.
constexpr const char* kProfile =
    "[guard]\nfloor = \"1MiB\"\n[sweep]\n\"engine.seed\" = [1, 2]\n[[suite]]\nname = \"smoke\"\n";

int from_environment(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text ? std::atoi(text) : otherwise;
}

enum class Victim { kWorker, kGuard, kSupervisor };
constexpr const char* kNames[] = {"worker", "guard", "supervisor"};

bool alive(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string number, name, state;
  return static_cast<bool>(stat >> number >> name >> state) && state != "Z";
}

std::string command_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline");
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::replace(text.begin(), text.end(), '\0', ' ');
  return text;
}

std::vector<pid_t> children_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children");
  std::vector<pid_t> children;
  for (pid_t child; file >> child;) children.push_back(child);
  return children;
}

// The supervisor itself, or its child that the verb behind the program's name tells; 0 = none now.
pid_t find_victim(Victim victim, pid_t supervisor) {
  if (victim == Victim::kSupervisor) return supervisor;
  for (const pid_t child : children_of(supervisor)) {
    const bool guard = command_of(child).find("guard") != std::string::npos;
    const bool worker = command_of(child).find("worker") != std::string::npos;
    if (victim == Victim::kGuard ? guard : worker) return child;
  }
  return 0;
}

struct Tally {
  int killed[3] = {};
  int missed = 0;  // the process had ended, or there is none of the kind
  size_t committed = 0, lost = 0;
  int launches = 0, without_reason = 0;
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

void kill_one(std::mt19937& random, Tally& tally) {
  const Sweep sweep(kScript, kProfile);
  const auto victim = static_cast<Victim>(random() % 3);
  const int supervisor = start_command(sweep.command({"run", sweep.profile()}));
  // Some before anything is stored, most in the middle.
  if (random() % 4) sweep.wait_for_an_answer();
  std::this_thread::sleep_for(milliseconds(random() % 900));
  const std::vector<pid_t> others = children_of(supervisor);
  const auto before = sweep.answered();
  const pid_t pid = find_victim(victim, supervisor);
  if (pid > 0 && alive(pid)) {
    ::kill(pid, SIGKILL);
    ++tally.killed[static_cast<int>(victim)];
  } else {
    ++tally.missed;
  }
  const int code = wait_command(supervisor);
  if (victim != Victim::kSupervisor) {
    EXPECT_TRUE(code == 0 || code == 4) << code;
  }
  for (const pid_t other : others) {
    for (int i = 0; i < 1000 && alive(other); ++i) std::this_thread::sleep_for(milliseconds(10));
    EXPECT_FALSE(alive(other)) << command_of(other) << " outlived its run";
  }
  if (sweep.begun()) expect_whole(sweep.db());
  // Where nothing was stored, nothing had been promised yet.
  const CommandResult second = sweep.begun() ? sweep.resume() : sweep.run();
  EXPECT_EQ(second.exit_code, 0) << second.err << ends_of(sweep);
  expect_whole(sweep.db());
  const auto after = sweep.answered();
  std::set<std::string> cells;
  for (const auto& [name, n] : after) {
    EXPECT_EQ(n, 1) << name << " was measured again";
    cells.insert(name.substr(0, name.find(' ')));
  }
  EXPECT_EQ(cells.size(), kCells);
  for (const auto& [name, n] : before) tally.lost += after.contains(name) ? 0 : 1;
  tally.committed += before.size();
  const auto store = sweep.store();
  const auto run = store->run("latest");
  EXPECT_FALSE(run.finished_at.empty());
  for (const auto& launch : store->launches(run.id)) {
    ++tally.launches;
    const bool told =
        !launch.outcome.empty() && (launch.outcome == "ok" || !launch.message.empty());
    tally.without_reason += told ? 0 : 1;
  }
}

TEST(KillAny, LosesNothingCommittedAndEveryCellEndsMeasuredOrAttributed) {
  const int rounds = from_environment("DS4_KILLS", kShort);
  std::mt19937 random(static_cast<unsigned>(from_environment("DS4_KILL_SEED", 20260303)));
  Tally tally;
  for (int round = 0; round < rounds; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    kill_one(random, tally);
    if (HasFailure()) break;
  }
  std::cout << "kills:";
  for (int i = 0; i < 3; ++i) std::cout << " " << kNames[i] << " " << tally.killed[i];
  std::cout << ", too late " << tally.missed << "; attempts committed before " << tally.committed
            << ", lost " << tally.lost << "; launches " << tally.launches << ", without a reason "
            << tally.without_reason << "\n";
  EXPECT_EQ(tally.lost, 0u);
  EXPECT_EQ(tally.without_reason, 0);
  EXPECT_GT(tally.committed, 0u) << "nothing was killed in the middle: the test proved nothing";
  for (int i = 0; i < 3; ++i) {
    EXPECT_GT(tally.killed[i], 0) << "no " << kNames[i] << " was killed: the test proved nothing";
  }
}

}  // namespace
}  // namespace ds4::test_support

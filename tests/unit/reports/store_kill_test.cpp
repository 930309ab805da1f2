// A writer killed at random moments: everything it was told is stored is there, whole and readable.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>
#include <set>

#include "reports/store/database.h"
#include "reports/store/store.h"
#include "tests/unit/reports/fixtures.h"

namespace ds4::reports {
namespace {

constexpr int kRounds = 8;
constexpr int kEvents = 50;

// Stores attempts until it is killed; after each, writes its number to `out`.
[[noreturn]] void write_forever(const std::filesystem::path& path, int round, int out) {
  auto store = Store::open(path);
  for (int i = 0;; ++i) {
    AttemptRow attempt = example_attempt("k1", "needle", std::to_string(round * 1000000 + i));
    attempt.text = "answer " + attempt.case_id + std::string(3000, 'x');
    attempt.events.assign(kEvents, {0.5, 1});
    ScoreRow score;
    score.grade = "correct";
    score.values = {{"exact", 1}};
    store->add_attempt("r", attempt, score);
    if (::write(out, &i, sizeof i) != sizeof i) ::_exit(1);
  }
}

TEST(StoreKill, NothingCommittedIsLost) {
  TemporaryFolder folder;
  const auto path = folder.path() / "results.db";
  Store::open(path)->add_run(example_run("r"), {example_cell("k1", 0)});
  std::set<std::string> acknowledged;
  std::mt19937 random(7);
  for (int round = 0; round < kRounds; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(::pipe(pipe_ends), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(pipe_ends[0]);
      write_forever(path, round, pipe_ends[1]);
    }
    ::close(pipe_ends[1]);
    // At least one attempt is in, then the blow falls anywhere in the next few.
    int number = 0;
    ASSERT_EQ(::read(pipe_ends[0], &number, sizeof number), ssize_t{sizeof number});
    acknowledged.insert(std::to_string(round * 1000000 + number));
    ::usleep(random() % 20'000);
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    while (::read(pipe_ends[0], &number, sizeof number) == ssize_t{sizeof number}) {
      acknowledged.insert(std::to_string(round * 1000000 + number));
    }
    ::close(pipe_ends[0]);
    ::waitpid(child, nullptr, 0);

    const auto attempts = Store::open(path)->attempts("r", true);
    std::set<std::string> stored;
    for (const StoredAttempt& attempt : attempts) {
      stored.insert(attempt.case_id);
      EXPECT_EQ(attempt.text, "answer " + attempt.case_id + std::string(3000, 'x'));
      EXPECT_EQ(attempt.events.size(), size_t{kEvents});
      EXPECT_TRUE(attempt.score.has_value());
    }
    for (const std::string& id : acknowledged) EXPECT_TRUE(stored.contains(id)) << id;
    // At most the attempt in flight was stored without having been acknowledged, per round.
    EXPECT_LE(stored.size(), acknowledged.size() + static_cast<size_t>(round) + 1);
  }
  Database database(path, Database::Mode::kReadOnly);
  Statement check(database, "PRAGMA integrity_check");
  ASSERT_TRUE(check.step());
  EXPECT_EQ(check.text(0), "ok");
}

}  // namespace
}  // namespace ds4::reports

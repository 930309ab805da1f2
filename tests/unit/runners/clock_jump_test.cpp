// The wall clock may jump at any moment: every duration, deadline and judgement is made on the
// monotonic one. This program brings its own clocks, so that a launch runs, worker and supervisor,
// while the date leaps by decades at every look.
#include <gmock/gmock.h>

#include <chrono>
#include <cstring>
#include <iostream>
#include <iterator>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/files.h"
#include "reports/pages/page.h"
#include "runners/process.h"
#include "runners/run.h"
#include "runners/sweep/execute.h"
#include "runners/worker.h"
#include "tests/support/command.h"

namespace {
double g_extra_s = 0;  // added to the monotonic clock from then on
}

namespace ds4 {

double monotonic_seconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count() + g_extra_s;
}

std::string utc_now() {
  static int looks = 0;
  const char* const kDates[] = {"2031-05-01T00:00:00.000Z", "1999-12-31T23:59:59.999Z",
                                "2106-02-07T06:28:16.000Z"};
  return kDates[looks++ % 3];
}

}  // namespace ds4

namespace ds4::runners {
namespace {

class ClockJump : public ::testing::Test {
 protected:
  reports::LaunchRow run(const Observer& observer) {
    write_file_atomic(folder_ / "s.json", R"({"rules": [{"text": "x", "delay_ms": 20}]})");
    write_file_atomic(folder_ / "p.toml",
                      "target = \"scripted\"\nscript = \"s.json\"\n[guard]\nenabled = "
                      "false\n[limits]\ncase_timeout = "
                      "\"30s\"\ncell_timeout = \"120s\"\n[[suite]]\nname = \"smoke\"\n");
    store_ = reports::Store::open(folder_ / "r.db");
    const profiles::Plan plan =
        profiles::make_plan(profiles::load_profile((folder_ / "p.toml").string(), {}));
    run_id_ = begin_run(*store_, plan, "test");
    sweep::execute(*store_, run_id_, observer);
    return store_->launches(run_id_).at(0);
  }

  test_support::TemporaryFolder folder_;
  std::unique_ptr<reports::Store> store_;
  std::string run_id_;
};

TEST_F(ClockJump, OfTheDateChangesNothing) {
  const reports::LaunchRow launch = run([](const RunState&) {});
  EXPECT_EQ(launch.outcome, "ok") << launch.message;
  EXPECT_GT(launch.seconds, 0);
  EXPECT_LT(launch.seconds, 60);
  const auto attempts = store_->attempts(run_id_, false);
  EXPECT_GE(attempts.size(), 10u);
  for (const reports::StoredAttempt& attempt : attempts) {
    EXPECT_GE(attempt.end_s, 0.02);
    EXPECT_LT(attempt.end_s, 30);
    EXPECT_EQ(attempt.status, "ok");
  }
  EXPECT_FALSE(store_->run(run_id_).finished_at.empty());
  EXPECT_NO_THROW(reports::build_page(*store_, run_id_));
}

// The monotonic clock only leaps when nothing was run at all: a machine that stood still.
TEST_F(ClockJump, OfTheMonotonicClockIsAMachineThatStoodStill) {
  bool leapt = false;
  const reports::LaunchRow launch = run([&](const RunState& state) {
    if (state.cases_done < 3 || leapt) return;
    leapt = true;
    g_extra_s += 25;
  });
  EXPECT_EQ(launch.outcome, "HOST_WEDGE") << launch.message;
  EXPECT_THAT(launch.message, ::testing::HasSubstr("25"));
}

}  // namespace
}  // namespace ds4::runners

// The supervisor starts workers from its own executable.
int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "worker") == 0) {
    const std::string input{std::istreambuf_iterator<char>(std::cin), {}};
    return ds4::runners::run_worker(ds4::runners::decode_assignment(input),
                                    ::fdopen(ds4::runners::ChildProcess::kProtocolFd, "w"));
  }
  testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}

// Launches that were written down when they began and never ended.
#include "runners/outcome/unfinished.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "runners/outcome/kernel_watch.h"
#include "tests/unit/reports/fixtures.h"

namespace ds4::runners::outcome {
namespace {

using ::testing::HasSubstr;

class Unfinished : public ::testing::Test {
 protected:
  void SetUp() override {
    store_ = reports::Store::open(path_);
    store_->add_run(reports::example_run("r"), {reports::example_cell("k1", 0)});
    launch_.cell_key = "k1";
    launch_.outcome = "running";
    launch_.origin = {boot_id(),
                      machine_mark(),
                      ::getpid(),
                      start_ticks(::getpid()),
                      read_kernel_counters().oom_kills,
                      ""};
  }
  reports::LaunchRow settled(int expected = 1) {
    store_->add_launch("r", launch_, {});
    EXPECT_EQ(settle_unfinished(*store_), expected);
    return store_->launches("r").at(0);
  }

  reports::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "r.db";
  std::unique_ptr<reports::Store> store_;
  reports::LaunchRow launch_;
};

// A process that is no more, but was.
pid_t ended_process() {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(0);
  ::waitpid(pid, nullptr, 0);
  return pid;
}

TEST_F(Unfinished, OfALivingSupervisorIsLeftAlone) {
  EXPECT_EQ(settled(0).outcome, "running");
}

TEST_F(Unfinished, OfADeadSupervisorWasKilled) {
  launch_.origin.supervisor_pid = ended_process();
  const reports::LaunchRow launch = settled();
  EXPECT_EQ(launch.outcome, "KILLED");
  EXPECT_THAT(launch.message, HasSubstr("supervisor ended without recording how"));
  EXPECT_THAT(launch.message, HasSubstr("needle/c1")) << "the case it was at";
}

TEST_F(Unfinished, AProcessNumberUsedAgainIsNotTheSupervisor) {
  launch_.origin.supervisor_ticks -= 1;
  EXPECT_EQ(settled().outcome, "KILLED");
}

TEST_F(Unfinished, AZombieIsNoSupervisor) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(0);
  launch_.origin.supervisor_pid = pid;
  for (int i = 0; i < 1000 && process_state(pid) != 'Z'; ++i) ::usleep(1000);
  EXPECT_EQ(start_ticks(pid), 0);
  EXPECT_EQ(settled().outcome, "KILLED");
  ::waitpid(pid, nullptr, 0);
}

TEST_F(Unfinished, OfAnotherBootIsAResetWithTheTelemetrysLastWords) {
  write_file_atomic(folder_.path() / "t.jsonl",
                    "{\"format\":\"ds4-guard-1\"}\n"
                    "{\"t\":1.5,\"phase\":\"load\",\"available\":9663676416,\"free\":5}\n"
                    "{\"t\":8.15,\"phase\":\"prefill\",\"available\":104857600}\n"
                    "{\"t\":8.25,\"free\":4}\n"
                    "{\"t\":8.3,\"avail" +
                        std::string(64, '\0'));
  launch_.origin.boot_id = "11111111-2222-3333-4444-555555555555";
  launch_.origin.telemetry = folder_.path() / "t.jsonl";
  const reports::LaunchRow launch = settled();
  EXPECT_EQ(launch.outcome, "HOST_RESET");
  EXPECT_EQ(launch.phase, "prefill");
  EXPECT_DOUBLE_EQ(launch.seconds, 8.25);
  EXPECT_THAT(launch.message, HasSubstr("100 MiB of memory available"));
  EXPECT_THAT(launch.message, HasSubstr("{\"t\":8.25,\"free\":4}"));
  EXPECT_EQ(launch.origin.boot_id, launch_.origin.boot_id) << "kept as evidence";
}

TEST_F(Unfinished, ATelemetryFileThatWasJustBegunSaysNothing) {
  const auto path = folder_.path() / "t.jsonl";
  write_file_atomic(path, "{\"format\":\"ds4-guard-1\"}\n" + std::string(4096, '\0'));
  EXPECT_FALSE(last_reading(path));
  EXPECT_FALSE(last_reading(""));
}

TEST_F(Unfinished, ARestartWithoutTelemetryIsAResetToo) {
  launch_.origin.boot_id = "11111111-2222-3333-4444-555555555555";
  launch_.origin.telemetry = "/no/such/file";
  EXPECT_EQ(settled().outcome, "HOST_RESET");
}

TEST_F(Unfinished, TheOomKillersWorkMeanwhileIsTheHosts) {
  launch_.origin.supervisor_pid = ended_process();
  launch_.origin.oom_kills -= 1;
  EXPECT_EQ(settled().outcome, "HOST_OOM");
}

TEST_F(Unfinished, OfAnotherMachineIsLeftAlone) {
  launch_.origin.machine = "0123456789abcdef";
  launch_.origin.boot_id = "11111111-2222-3333-4444-555555555555";
  EXPECT_EQ(settled(0).outcome, "running");
}

TEST_F(Unfinished, OfAFinishedRunIsNotLookedFor) {
  launch_.outcome = "ok";
  launch_.origin.boot_id = "11111111-2222-3333-4444-555555555555";
  EXPECT_EQ(settled(0).outcome, "ok");
}

TEST_F(Unfinished, IsSettledForAReaderToo) {
  launch_.origin.supervisor_pid = ended_process();
  store_->add_launch("r", launch_, {});
  settle_unfinished(path_);
  EXPECT_EQ(reports::Store::open_read_only(path_)->launches("r").at(0).outcome, "KILLED");
  settle_unfinished(path_);  // nothing left
}

TEST_F(Unfinished, ALaunchEndsOnce) {
  store_->add_launch("r", launch_, {});
  reports::LaunchRow end = launch_;
  end.outcome = "ok";
  end.seconds = 3;
  store_->end_launch("r", end, {{"load_time", 1, 1, "load"}});
  EXPECT_EQ(store_->launches("r").at(0).seconds, 3);
  EXPECT_EQ(store_->launch_samples("r").size(), 1u);
  EXPECT_THROW(store_->end_launch("r", end, {}), Error);
}

TEST(KernelWatch, KnowsThisBootAndThisProcess) {
  EXPECT_EQ(boot_id().size(), 36u);
  EXPECT_GT(start_ticks(::getpid()), 0);
  EXPECT_EQ(process_state(::getpid()), 'R');
  EXPECT_EQ(start_ticks(1 << 30), 0);
  EXPECT_EQ(process_state(1 << 30), '\0');
  KernelWatch watch;
  EXPECT_EQ(watch.since().oom_kills, 0);
  watch.lines();  // whatever the log holds, and whether or not it can be read
}

TEST(KernelWatch, CountsTheKillsOfItsOwnMemoryGroup) {
  const reports::TemporaryFolder folder;
  const std::filesystem::path own = folder.path() / "own", groups = folder.path() / "groups";
  const auto count = [&](const std::string& list) {
    write_file_atomic(own, list);
    return group_oom_kills(own, groups);
  };
  const auto put = [&](const std::string& file, const std::string& text) {
    make_folders((groups / file).parent_path());
    write_file_atomic(groups / file, text);
  };
  put("user.slice/s.scope/memory.events", "low 0\noom 9\noom_kill 3\noom_group_kill 0\n");
  put("memory/job/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n");
  put("memory/old/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n");
  EXPECT_EQ(count("0::/user.slice/s.scope\n"), 3);
  EXPECT_EQ(count("9:name=systemd:/\n8:pids:/job\n4:memory:/job\n0::/\n"), 5);
  EXPECT_EQ(count("4:memory:/old\n0::/\n"), -1) << "an older kernel";
  EXPECT_EQ(count("0::/\n"), -1) << "the root group has no such file";
  EXPECT_EQ(count("nonsense\n"), -1);
  EXPECT_EQ(group_oom_kills(folder.path() / "none", groups), -1);
}

}  // namespace
}  // namespace ds4::runners::outcome

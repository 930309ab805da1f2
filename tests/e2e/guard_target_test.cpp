// `guard.target`: a run whose guard watches what somebody else started: a process group by its
// leader, a container by its id.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "probes/host_memory.h"
#include "tests/e2e/guard.h"

namespace ds4::test_support {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr const char* kSlowAnswers = R"({"rules": [{"text": "OK", "delay_ms": 200}]})";
constexpr int64_t kMiB = int64_t{1} << 20;

// Each time it is told to it takes 1.5 GiB more, 300 MiB/s.
[[noreturn]] void serve() {
  sigset_t told;
  ::sigemptyset(&told);
  ::sigaddset(&told, SIGUSR1);
  int signal = 0;
  while (true) {
    ::sigwait(&told, &signal);
    for (int i = 0; i < 50; ++i) {
      void* taken =
          ::mmap(nullptr, 30 * kMiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (taken != MAP_FAILED) std::memset(taken, 1, 30 * kMiB);
      ::usleep(100000);
    }
  }
}

// A server that is not ours: leads a group of its own; with `container` it is number 1 of a process
// namespace, in a control group of that name, and has another process inside: all that a container
// is to the kernel.
class Server {
 public:
  explicit Server(bool container = false) {
    ::sigset_t told, before;
    ::sigemptyset(&told);
    ::sigaddset(&told, SIGUSR1);
    ::sigprocmask(SIG_BLOCK, &told, &before);  // before it begins: nothing is missed
    int alive[2];
    EXPECT_EQ(::pipe2(alive, O_CLOEXEC), 0);
    const int flags = container ? CLONE_NEWPID | SIGCHLD : SIGCHLD;
    pid_ = static_cast<pid_t>(::syscall(SYS_clone, flags, 0, 0, 0, 0));
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::setsid();
      if (container && ::fork() == 0) {
        while (true) ::pause();
      }
      serve();
    }
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    ::close(alive[1]);
    alive_ = alive[0];
    if (container && pid_ > 0) enter_control_group();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // it must lead its group
  }
  ~Server() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    ::close(alive_);
    for (int i = 0; i < 100 && !control_group_.empty() && ::rmdir(control_group_.c_str()) != 0;
         ++i) {
      ::usleep(10000);
    }
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  pid_t pid() const { return pid_; }
  std::string id() const { return id_; }
  /// False where this user may make no namespace or control group.
  bool is_container() const { return !control_group_.empty(); }
  void grow() const { ::kill(pid_, SIGUSR1); }
  bool runs() const { return alive(pid_); }
  /// The signal that ended it; waits, half a minute at most.
  int ended_by() {
    int status = 0;
    for (int i = 0; i < 3000; ++i) {
      if (::waitpid(pid_, &status, WNOHANG) == pid_) {
        pid_ = -1;
        return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
      }
      ::usleep(10000);
    }
    return -1;
  }
  /// Every process of it is gone: nobody holds the pipe.
  bool all_gone() const {
    char byte = 0;
    return ::read(alive_, &byte, 1) == 0;
  }

 private:
  void enter_control_group() {
    for (size_t i = 0; i < 64; ++i) {
      id_ += "0123456789abcdef"[(static_cast<size_t>(pid_) >> (i % 16)) * (i + 7) % 16];
    }
    for (const char* root : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/pids"}) {
      // Beside a hierarchy of the first version this is a folder like any other.
      if (::access((std::string(root) + "/cgroup.procs").c_str(), W_OK) != 0) continue;
      const std::string group = std::string(root) + "/" + id_;
      if (::mkdir(group.c_str(), 0755) != 0) continue;
      std::ofstream members(group + "/cgroup.procs");
      if (members << pid_ << std::flush) {
        control_group_ = group;
        return;
      }
      ::rmdir(group.c_str());
    }
  }

  pid_t pid_ = -1;
  int alive_ = -1;
  std::string id_, control_group_;
};

std::string guarding(const std::string& target, int64_t floor) {
  return "[guard]\ngrace = \"1s\"\ntarget = \"" + target + "\"\nfloor = " + std::to_string(floor) +
         "\n" + kSmoke;
}

// A run whose server grows beyond the floor, which is 250 MiB under what is free. Other processes
// take memory, too, and give it back: when the floor is reached before the run begins, or never, it
// is tried again.
reports::LaunchRow run_beside(Server& server, const std::string& target,
                              std::unique_ptr<Sweep>& sweep) {
  reports::LaunchRow launch;
  for (int attempt = 0; attempt < 5; ++attempt) {
    const int64_t floor = probes::read_machine_memory().available_bytes - 250 * kMiB;
    sweep = std::make_unique<Sweep>(kSlowAnswers, guarding(target, floor));
    const int run = start_command(sweep->command({"run", sweep->profile()}));
    sweep->wait_for_an_answer();
    server.grow();
    wait_command(run);
    launch = only_launch(*sweep);
    if (launch.outcome != "PREFLIGHT_REFUSED" && launch.outcome != "ok") break;
  }
  return launch;
}

TEST(GuardTarget, AServerThatGrowsIsEndedAndTheLaunchSaysSo) {
  Server server;
  std::unique_ptr<Sweep> sweep;
  const auto launch = run_beside(server, "pid:" + std::to_string(server.pid()), sweep);
  ASSERT_EQ(server.ended_by(), SIGTERM) << launch.outcome << ": " << launch.message;
  EXPECT_TRUE(server.all_gone());
  EXPECT_THAT(launch.outcome, HasSubstr("WATCHDOG_KILL{")) << launch.message;
  // It was asked to end first; what others take meanwhile can make a harder word of the verdict.
  EXPECT_THAT(json::parse(launch.guard)["action"], testing::AnyOf("soft", "hard"));
  EXPECT_EQ(launch.signal, 0) << "the worker is not what is guarded";
}

TEST(GuardTarget, AServerThatFitsIsLeftAlone) {
  Server server;
  const Sweep sweep(R"({"rules": [{"text": "OK", "delay_ms": 20}]})",
                    guarding("pid:" + std::to_string(server.pid()), kMiB));
  EXPECT_EQ(sweep.run().exit_code, 0);
  EXPECT_TRUE(server.runs());
  EXPECT_EQ(only_launch(sweep).guard, "");
  const auto lines = telemetry(sweep).at(0);
  EXPECT_TRUE(std::any_of(lines.begin(), lines.end(), [&](const json& line) {
    return line.value("event", "") == "guarding" && line["why"] == std::to_string(server.pid());
  }));
}

TEST(GuardTarget, AServerOutlivesASupervisorThatIsKilled) {
  Server server;
  const Sweep sweep(kSlowAnswers, guarding("pid:" + std::to_string(server.pid()), kMiB));
  const int run = start_command(sweep.command({"run", sweep.profile()}));
  sweep.wait_for_an_answer();
  const pid_t guard = child_running(run, "guard-process");
  ASSERT_GT(guard, 0);
  ::kill(run, SIGKILL);
  wait_command(run);
  for (int i = 0; i < 1000 && alive(guard); ++i) ::usleep(10000);
  EXPECT_FALSE(alive(guard)) << "a guard without a supervisor ends";
  EXPECT_TRUE(server.runs());
}

TEST(GuardTarget, AServerThatIsGoneIsSaid) {
  pid_t gone = 0;
  {
    const Server server;
    gone = server.pid();
  }
  const Sweep sweep(kSlowAnswers, guarding("pid:" + std::to_string(gone), kMiB));
  EXPECT_EQ(sweep.run().exit_code, 4);
  const auto launch = only_launch(sweep);
  EXPECT_EQ(launch.outcome, "HARNESS_ERROR");
  EXPECT_THAT(launch.message, HasSubstr("there is none to guard"));
  EXPECT_TRUE(sweep.answered().empty()) << "nothing is measured beside a server that is not there";
}

TEST(GuardTarget, AContainerIsEndedWithAllThatIsInIt) {
  Server server(true);
  if (server.pid() <= 0 || !server.is_container()) {
    GTEST_SKIP() << "this user may make no process namespace or control group";
  }
  std::unique_ptr<Sweep> sweep;
  const auto launch = run_beside(server, "container:" + server.id().substr(0, 12), sweep);
  ASSERT_EQ(server.ended_by(), SIGKILL) << launch.outcome << ": " << launch.message;
  EXPECT_TRUE(server.all_gone()) << "the kernel ends the rest of its namespace";
  EXPECT_THAT(launch.outcome, HasSubstr("WATCHDOG_KILL{")) << launch.message;
  const json verdict = json::parse(launch.guard);
  EXPECT_EQ(verdict["action"], "hard");
  EXPECT_EQ(verdict["hard_rule"], "grace") << "number 1 without a handler does not hear TERM";
}

TEST(GuardTarget, AContainerThatIsNotThereIsSaid) {
  const Sweep sweep(kSlowAnswers, guarding("container:" + std::string(64, 'f'), kMiB));
  EXPECT_EQ(sweep.run().exit_code, 4);
  EXPECT_THAT(only_launch(sweep).message, HasSubstr("none is running"));
}

}  // namespace
}  // namespace ds4::test_support

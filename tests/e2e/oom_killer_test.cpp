// The kernel's OOM killer at work, with the real binary. Apart from the other tests and never
// beside one: it counts for the whole machine, so that every measurement of that moment is
// CONTAMINATED.
#include <unistd.h>

#include <fstream>

#include "tests/e2e/outcomes.h"

namespace ds4::test_support {
namespace {

using ::testing::AnyOf;

// A memory cgroup of its own with a limit, where this machine lets a test make one (v1).
class MemoryGroup {
 public:
  explicit MemoryGroup(const std::string& limit) {
    std::error_code failed;
    std::filesystem::create_directory(path_, failed);
    std::ofstream(path_ / "memory.limit_in_bytes") << limit;
    std::string is;
    std::ifstream(path_ / "memory.limit_in_bytes") >> is;
    usable_ = !failed && is == limit;
  }
  ~MemoryGroup() { ::rmdir(path_.c_str()); }
  bool usable() const { return usable_; }
  std::string tasks() const { return path_ / "tasks"; }

 private:
  std::filesystem::path path_ = "/sys/fs/cgroup/memory/ds4-test-" + std::to_string(::getpid());
  bool usable_ = false;
};

TEST(Outcomes, TheKernelsOomKillerIsSeen) {
  const MemoryGroup group("268435456");
  if (!group.usable()) GTEST_SKIP() << "no memory cgroup can be made here";
  const Sweep sweep(R"({"rules": [{"grow": true}]})", kSmoke);
  run_shell("echo $$ > " + group.tasks() + "; exec " + sweep.run_line());
  reports::LaunchRow launch = only_launch(sweep);
  if (launch.outcome == "running") {  // the killer chose the supervisor: the next verb says so
    run_command(sweep.command({"report", "latest"}));
    launch = only_launch(sweep);
  }
  EXPECT_THAT(launch.outcome, AnyOf("PREFILL_OOM", "HOST_OOM")) << launch.message;
}

}  // namespace
}  // namespace ds4::test_support

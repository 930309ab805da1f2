// Two runs on one machine: with the engine the second is refused or waits, whatever its profile and
// its database; without a model nobody is kept waiting.
#include <gmock/gmock.h>
#include <signal.h>
#include <stdlib.h>

#include <fstream>

#include "runners/box_lock.h"
#include "tests/e2e/sweep.h"
#include "tests/support/source_dir.h"

namespace ds4::test_support {
namespace {

using ::testing::HasSubstr;

class Lock : public ::testing::Test {
 protected:
  Lock() {
    ::unsetenv("DS4_SWEEP_NO_LOCK");
    ::setenv("DS4_SWEEP_LOCK", (folder_ / "lock").c_str(), 1);
    write_file_atomic(folder_ / "engine.toml",
                      "name = \"one\"\ncheckpoint = \"" +
                          (source_dir() / "checkpoints/tiny").string() +
                          "\"\n[[suite]]\nname = \"arithmetic\"\ncases = 2\n");
  }
  CommandResult engine_run(std::vector<std::string> flags) const {
    std::vector<std::string> command{DS4_SWEEP_BINARY,        "run",
                                     folder_ / "engine.toml", "--db",
                                     folder_ / "engine.db",   "--no-progress"};
    command.insert(command.end(), flags.begin(), flags.end());
    return run_command(command);
  }

  TemporaryFolder folder_;
};

TEST_F(Lock, TheEngineNeedsTheMachineForItself) {
  {
    runners::BoxLock held(folder_ / "lock", std::chrono::seconds(0));
    held.name_run("3f2a91c0");
    const CommandResult refused = engine_run({});
    EXPECT_EQ(refused.exit_code, 3) << refused.err;
    EXPECT_THAT(refused.err, HasSubstr("run 3f2a91c0 (pid " + std::to_string(::getpid()) + ")"));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "engine.db")) << "a refused run left a trace";
    const CommandResult impatient = engine_run({"--wait", "200ms"});
    EXPECT_EQ(impatient.exit_code, 3);
    EXPECT_THAT(impatient.err, HasSubstr("waiting for run 3f2a91c0"));
    EXPECT_EQ(engine_run({"--no-lock"}).exit_code, 0);
    const Sweep sweep(R"({"rules": [{"text": "OK"}]})", "[[suite]]\nname = \"smoke\"\n");
    EXPECT_EQ(sweep.run().exit_code, 0) << "a scripted target was kept waiting";
  }
  EXPECT_EQ(engine_run({}).exit_code, 0);
  // A resume takes it, too.
  const runners::BoxLock held(folder_ / "lock", std::chrono::seconds(0));
  EXPECT_EQ(
      run_command({DS4_SWEEP_BINARY, "resume", "latest", "--db", folder_ / "engine.db"}).exit_code,
      3);
}

}  // namespace
}  // namespace ds4::test_support

// A server as a process: what it is given, what it prints, how its end is told, and that nothing of
// it is left.
#include "runners/managed/process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "runners/managed/output.h"
#include "runners/managed/port.h"
#include "tests/support/command.h"

namespace ds4::runners::managed {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ServerStart shell(const std::string& script) {
  return {{"sh", "-c", script}};
}

ServerEnd end_of(ServerProcess& process) {
  for (int i = 0; i < 500 && !process.ended(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return process.ended().value_or(ServerEnd{-1, -1});
}

TEST(ServerProcess, ItsEndIsTold) {
  ServerProcess exits(shell("exit 3")), dies(shell("kill -9 $$"));
  EXPECT_EQ(end_of(exits).text(), "exit code 3");
  EXPECT_EQ(end_of(dies).text(), "signal 9 (Killed)");
}

TEST(ServerProcess, WhatCannotBeRunIsAnErrorWithARemedy) {
  try {
    ServerProcess process({{"no-such-server"}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kMachine);
    EXPECT_STREQ(error.what(), "cannot run `no-such-server`: No such file or directory");
    EXPECT_THAT(error.hint(), HasSubstr("launch.command"));
  }
  EXPECT_THROW(ServerProcess({{"true"}, {}, "/no/such/folder"}), Error);
}

TEST(ServerProcess, HasItsEnvironmentAndFolderAndNothingElseOfOurs) {
  ::setenv("DS4_TEST_INHERITED", "yes", 1);
  const test_support::TemporaryFolder folder;
  const int fd = ::open("/dev/null", O_RDONLY);  // not closed on exec
  ServerProcess process(
      {{"sh", "-c", "echo $A $DS4_TEST_INHERITED; pwd; cat; ls /proc/self/fd | wc -l"},
       {{"A", "one two"}},
       folder.path()});
  ServerOutput output(process.output(), {});
  EXPECT_EQ(end_of(process).code, 0);
  output.finish();
  ::close(fd);
  const std::string said = output.tail(40);
  EXPECT_THAT(said, HasSubstr("one two yes\n" + folder.path().string()));
  EXPECT_THAT(said, HasSubstr("\n4")) << "the three, and that of the listing";
  EXPECT_EQ(::getpgid(process.pid()), -1) << "it is reaped";
}

TEST(ServerProcess, StopsWithAllThatItStarted) {
  // A child in its group and one that left it and its parent.
  ServerProcess process(shell("sleep 60 & setsid sh -c 'sleep 60 & wait' & wait"));
  const std::string mark = guard::mark_of(::getpid());
  for (int i = 0; i < 300 && guard::marked_processes(mark).size() < 4; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_GE(guard::process_tree(process.pid()).size(), 4u);
  EXPECT_TRUE(process.stop(5)) << "TERM was enough";
  EXPECT_TRUE(guard::marked_processes(mark).empty());
  EXPECT_EQ(process.ended()->signal, SIGTERM);
}

TEST(ServerProcess, WhatDoesNotHearIsKilled) {
  ServerProcess process(shell("trap '' TERM; echo ready; while true; do sleep 0.05; done"));
  ServerOutput output(process.output(), {});
  for (int i = 0; i < 300 && output.tail(1) != "ready"; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_FALSE(process.stop(0.3));
  EXPECT_EQ(process.ended()->signal, SIGKILL);
}

TEST(ServerOutput, IsKeptInAFileAndTellsNoSecret) {
  const test_support::TemporaryFolder folder;
  ServerProcess process(shell("printf 'a key-123 b\\nhalf\\rGPU KV cache size: 7 tokens\\nlast'"));
  ServerOutput::Keep keep;
  keep.file = folder / "logs/server.log";
  keep.secret = "key-123";
  ServerOutput output(process.output(), keep);
  end_of(process);
  output.finish();
  EXPECT_EQ(output.tail(2), "GPU KV cache size: 7 tokens\nlast");
  EXPECT_EQ(output.phase(), "capture");
  ASSERT_EQ(output.take_samples().size(), 1u);
  EXPECT_EQ(read_file(keep.file), "a *** b\nhalf\nGPU KV cache size: 7 tokens\nlast\n");
}

TEST(ServerOutput, AFloodNeitherBlocksNorGrows) {
  ServerProcess process(shell("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo done"));
  ServerOutput output(process.output(), {});
  EXPECT_EQ(end_of(process).code, 0);
  output.finish();
  EXPECT_EQ(output.tail(1), "done");
  EXPECT_LT(output.tail(100).size(), 400000u);
}

TEST(Port, HostAndPortOfAnAddress) {
  const auto text = [](const std::string& origin) {
    const HostPort at = host_port_of(origin);
    return at.host + " " + at.port;
  };
  EXPECT_EQ(text("http://127.0.0.1:8000"), "127.0.0.1 8000");
  EXPECT_EQ(text("http://host"), "host 80");
  EXPECT_EQ(text("https://host"), "host 443");
  EXPECT_EQ(text("http://[::1]:81"), "::1 81");
  EXPECT_EQ(text("http://[::1]"), "::1 80");
  EXPECT_FALSE(somebody_listens({"127.0.0.1", free_port()}, 1));
}

}  // namespace
}  // namespace ds4::runners::managed

// `fetch` as a user has it: whole from a mirror, stopped by Ctrl-C and taken up again, refused.
#include <gmock/gmock.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "engine/base/files.h"
#include "suites/common/datasets.h"
#include "tests/support/command.h"
#include "tests/support/http_server.h"
#include "tests/support/source_dir.h"

namespace ds4::test_support {
namespace {

using ::testing::HasSubstr;

std::vector<std::string> fetch(const std::string& mirror, const std::filesystem::path& folder) {
  return {DS4_SWEEP_BINARY, "fetch",         "gsm8k",  "--from",
          mirror,           "--no-progress", "--data", folder.string()};
}

TEST(Fetch, CtrlCKeepsWhatCameAndTheSameCommandGoesOn) {
  const auto& file = suites::dataset("gsm8k").files.at(0);
  HttpServer mirror([&](const HttpRequest& request, HttpConnection& c) {
    const bool rest = request.headers.contains("range");
    c.write(
        std::string(rest ? "HTTP/1.1 206 X\r\nContent-Range: bytes 5000-" : "HTTP/1.1 200 X\r\n") +
        (rest ? std::to_string(file.bytes - 1) + "/" + std::to_string(file.bytes) + "\r\n" : "") +
        "Connection: close\r\n\r\n" + std::string(rest ? 1000 : 5000, 'x'));
    c.wait(20);
  });
  const TemporaryFolder folder;
  const auto half = folder / ("gsm8k/" + file.name + ".part");
  for (const uintmax_t bytes : {5000u, 6000u}) {
    const int pid = start_command(fetch(mirror.origin(), folder.path()));
    for (int i = 0; i < 500; ++i) {
      std::error_code none;
      if (std::filesystem::file_size(half, none) == bytes && !none) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ::kill(pid, SIGINT);
    EXPECT_EQ(wait_command(pid), 130);
    EXPECT_EQ(std::filesystem::file_size(half), bytes);
  }
  ASSERT_EQ(mirror.requests().size(), 2u);
  EXPECT_EQ(mirror.requests()[0].path, "/gsm8k/" + file.name);
  EXPECT_EQ(mirror.requests()[1].headers.at("range"), "bytes=5000-");
}

TEST(Fetch, BringsWhatSuitesRead) {
  const auto shared = shared_path("data");
  if (!shared || !std::filesystem::exists(*shared / "gsm8k")) {
    GTEST_SKIP() << "data/gsm8k is not under $DS4_SHARED or ../shared";
  }
  HttpServer mirror([&](const HttpRequest& request, HttpConnection& c) {
    c.reply(200, "a/b", read_file(shared->string() + request.path));
  });
  const TemporaryFolder folder;
  auto command = fetch(mirror.origin(), folder.path());
  command.push_back("--json");
  const CommandResult first = run_command(command);
  EXPECT_EQ(first.exit_code, 0) << first.err;
  const auto result = nlohmann::json::parse(first.out);
  EXPECT_EQ(result["whole"], true);
  ASSERT_EQ(result["files"].size(), 2u);
  EXPECT_EQ(result["files"][0]["was"], "missing");
  EXPECT_EQ(result["files"][0]["state"], "right");
  write_file_atomic(folder / "gsm8k/test.jsonl", "changed");
  EXPECT_EQ(nlohmann::json::parse(run_command(command).out)["files"][0]["was"], "other");
  EXPECT_EQ(mirror.requests().size(), 3u) << "the other file was right";
  EXPECT_EQ(read_file(folder / "gsm8k/test.jsonl"), read_file(*shared / "gsm8k/test.jsonl"));
}

TEST(Fetch, RefusalsAreErrorsOfUseOrOfTheMachine) {
  const TemporaryFolder folder;
  const CommandResult unknown = run_command({DS4_SWEEP_BINARY, "fetch", "gsm9k"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("Did you mean `gsm8k`?"));
  HttpServer mirror([&](const HttpRequest&, HttpConnection& c) { c.reply(404, "a/b", ""); });
  const CommandResult missing = run_command(fetch(mirror.origin(), folder.path()));
  EXPECT_EQ(missing.exit_code, 3);
  EXPECT_THAT(missing.err, HasSubstr("/gsm8k/test.jsonl: answered with status 404"));
}

}  // namespace
}  // namespace ds4::test_support

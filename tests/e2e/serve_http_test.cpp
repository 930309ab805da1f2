// Both ends of the protocol: suites measured by the http target on `serve` give what the embedded
// target gives, case by case.
#include <gtest/gtest.h>

#include <map>

#include "reports/store/store.h"
#include "tests/e2e/served.h"

namespace ds4::test_support {
namespace {

using nlohmann::json;

const char* const kSuites = R"(
[[suite]]
name = "smoke"
[[suite]]
name = "arithmetic"
cases = 8
[[suite]]
name = "tool_calls"
cases = 8
[[suite]]
name = "needle"
lengths = [512]
samples = [5]
)";

using Attempts = std::map<std::string, reports::AttemptRow>;

// Measures a profile with that head; the attempts by suite and case.
Attempts measured(const std::string& head) {
  const TemporaryFolder folder;
  const std::string profile = folder / "profile.toml", db = folder / "results.db";
  write_file_atomic(profile, "name = \"e2e\"\ndescription = \"both ends\"\ncheckpoint = \"" +
                                 (source_dir() / "checkpoints/tiny").string() + "\"\n" + head +
                                 kSuites);
  const CommandResult run =
      run_command({DS4_SWEEP_BINARY, "run", profile, "--db", db, "--no-progress"});
  const auto store = reports::Store::open_read_only(db);
  Attempts attempts;
  for (auto& row : store->attempts(store->run("latest").id, true)) {
    attempts[row.suite + "/" + row.case_id] = std::move(row);
  }
  EXPECT_FALSE(attempts.empty()) << run.out << run.err;
  return attempts;
}

// Names and arguments; ids are the server's own.
json calls_of(const reports::AttemptRow& attempt) {
  json calls = json::parse(attempt.tool_calls.empty() ? "[]" : attempt.tool_calls);
  for (json& call : calls) call.erase("id");
  return calls;
}

TEST(ServeHttp, SuitesOverTheProtocolAreTheEmbeddedOnes) {
  const Attempts embedded = measured("target = \"engine\"\n[engine]\ncontext_length = 2048\n");
  const Served server(Served::tiny({"--sequences", "2"}));
  const Attempts over_http =
      measured("target = \"http\"\n[server]\nurl = \"" + server.url() + "/v1\"\nconcurrency = 2\n");
  ASSERT_EQ(over_http.size(), embedded.size());
  for (const auto& [name, wanted] : embedded) {
    SCOPED_TRACE(name);
    ASSERT_TRUE(over_http.contains(name));
    const reports::AttemptRow& got = over_http.at(name);
    EXPECT_EQ(got.error, "");
    EXPECT_EQ(got.prompt, wanted.prompt);
    EXPECT_EQ(got.content, wanted.content);
    EXPECT_EQ(got.reasoning, wanted.reasoning);
    EXPECT_EQ(calls_of(got), calls_of(wanted));
    EXPECT_EQ(got.finish_reason, wanted.finish_reason);
    EXPECT_EQ(got.prompt_tokens, wanted.prompt_tokens);
    EXPECT_EQ(got.completion_tokens, wanted.completion_tokens);
    EXPECT_EQ(got.outcome, wanted.outcome);
  }
}

}  // namespace
}  // namespace ds4::test_support

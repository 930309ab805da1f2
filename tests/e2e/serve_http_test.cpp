// Both ends of the protocol: suites measured by the http target on `serve` give what the embedded
// target gives, case by case.
#include <gtest/gtest.h>

#include <map>

#include "reports/store/store.h"
#include "reports/trace/agreement.h"
#include "suites/suite.h"
#include "tests/e2e/served.h"

namespace ds4::test_support {
namespace {

using nlohmann::json;

// Every suite that needs no file of its own, with as few and short cases as show its form.
const char* const kSuites = R"(
[[suite]]
name = "smoke"
max_tokens = 24
[[suite]]
name = "arithmetic"
cases = 6
[[suite]]
name = "tool_calls"
cases = 6
[[suite]]
name = "long_code"
samples = 1
max_tokens = 48
[[suite]]
name = "needle"
lengths = [512]
samples = [2]
streams = [2]
variants = ["distractors", "niah_multiquery"]
[[suite]]
name = "speed"
lengths = [128]
samples = [2]
max_tokens = 8
[[suite]]
name = "throughput"
concurrency = [2]
requests = 3
warm_up = 1
input_tokens = 96
max_tokens = 8
[[suite]]
name = "frontier"
ctx_start = 128
ctx_max = 384
step = 128
max_tokens = 8
[[suite]]
name = "logits"
questions = 3
texts = 1
lengths = [256]
max_tokens = 8
[[suite]]
name = "toolcall15"
scenarios = [1, 6]
max_tokens = 48
[[suite]]
name = "tool_fidelity"
payloads = ["quotes", "parallel"]
lengths = [0]
max_tokens = 64
[[suite]]
name = "diagrams"
kinds = ["ascii"]
levels = ["easy"]
max_tokens = 1024
[[suite]]
name = "explain"
levels = ["easy"]
max_tokens = 1024
[[suite]]
name = "philosophy"
levels = ["easy"]
max_tokens = 1024
[[suite]]
name = "prefix_cache"
lengths = [512]
samples = [1]
evict = 1
prefixes = [257]
[[suite]]
name = "speculation"
families = ["code", "copy"]
lengths = [256]
samples = [1]
max_tokens = 24
[[suite]]
name = "garble"
lengths = [256]
prompts = [1]
repeats = 2
max_tokens = 24
)";

const char* const kPublished = R"(
[[suite]]
name = "gsm8k"
cases = 2
shots = 1
max_tokens = 16
[[suite]]
name = "bfcl"
categories = ["simple_python", "parallel"]
cases = 2
max_tokens = 32
)";

const char* const kPiecesOrWhole = R"(
[sweep]
"server.stream" = [true, false]
[[suite]]
name = "tool_calls"
cases = 6
[[suite]]
name = "smoke"
[[gate]]
metric = "parity"
min = 1.0
)";

using Attempts = std::map<std::string, reports::AttemptRow>;

// Measures a profile with that head and suites; the attempts by suite and case.
Attempts measured(const std::string& head, const std::string& suites, const std::string& data) {
  const TemporaryFolder folder;
  const std::string profile = folder / "profile.toml", db = folder / "results.db";
  write_file_atomic(profile, "name = \"e2e\"\ndescription = \"both ends\"\ncheckpoint = \"" +
                                 (source_dir() / "checkpoints/tiny").string() + "\"\n" + head +
                                 suites);
  std::vector<std::string> command = {DS4_SWEEP_BINARY, "run", profile,
                                      "--db",           db,    "--no-progress"};
  if (!data.empty()) command.insert(command.end(), {"--data", data});
  const CommandResult run = run_command(command);
  if (!std::filesystem::exists(db)) throw std::runtime_error(run.err);
  const auto store = reports::Store::open_read_only(db);
  Attempts attempts;
  for (auto& row : store->attempts(store->run("latest").id, true)) {
    row.trace = store->trace(row.id);
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

// Over the protocol tokens have no ids, and a list names each text once.
void expect_same_trace(const std::string& got, const std::string& wanted) {
  const reports::Trace base = reports::trace_from_json(wanted, "embedded");
  const reports::Trace now = reports::trace_from_json(got, "over http");
  const reports::CaseAgreement found = reports::compare_traces(base, now);
  EXPECT_EQ(found.remark, "");
  EXPECT_EQ(found.forks, 0);
  EXPECT_EQ(found.common_answer, std::ssize(base.answer));
  EXPECT_GE(std::ssize(found.positions), std::ssize(base.prompt) - 1 + std::ssize(base.answer));
  EXPECT_LT(found.max_delta, 2e-6) << "as printed and kept";
}

void expect_equal(const reports::AttemptRow& got, const reports::AttemptRow& wanted) {
  EXPECT_EQ(got.error, "");
  EXPECT_EQ(got.prompt, wanted.prompt);
  EXPECT_EQ(got.content, wanted.content);
  EXPECT_EQ(got.reasoning, wanted.reasoning);
  EXPECT_EQ(calls_of(got), calls_of(wanted));
  EXPECT_EQ(got.finish_reason, wanted.finish_reason);
  EXPECT_EQ(got.prompt_tokens, wanted.prompt_tokens);
  EXPECT_EQ(got.completion_tokens, wanted.completion_tokens);
  EXPECT_EQ(got.outcome, wanted.outcome);
  ASSERT_EQ(got.exchanges.size(), wanted.exchanges.size());
  for (size_t i = 0; i < got.exchanges.size(); ++i) {
    EXPECT_EQ(got.exchanges[i].content, wanted.exchanges[i].content);
    EXPECT_EQ(got.exchanges[i].prompt_tokens, wanted.exchanges[i].prompt_tokens);
  }
  ASSERT_EQ(got.trace.empty(), wanted.trace.empty());
  if (!wanted.trace.empty()) expect_same_trace(got.trace, wanted.trace);
  if (wanted.suite == "frontier") {
    EXPECT_LE(std::abs(got.cached_tokens - wanted.cached_tokens), 1) << "of the warm-up";
  }
}

// Asks the suites' cases of the embedded target, and of `serve` by the http target.
void expect_both_equal(const std::string& suites, const std::string& data = {}) {
  const Attempts embedded =
      measured("target = \"engine\"\n[engine]\ncontext_length = 4096\n", suites, data);
  const Served server(Served::tiny({"--sequences", "2"}));
  const Attempts over_http =
      measured("target = \"http\"\n[server]\nurl = \"" + server.url() + "/v1\"\nconcurrency = 2\n",
               suites, data);
  ASSERT_EQ(over_http.size(), embedded.size());
  for (const auto& [name, wanted] : embedded) {
    SCOPED_TRACE(name);
    ASSERT_TRUE(over_http.contains(name));
    expect_equal(over_http.at(name), wanted);
  }
}

TEST(ServeHttp, EverySuiteOverTheProtocolIsTheEmbeddedOne) {
  const std::string asked = std::string(kSuites) + kPublished;
  for (const suites::Suite* suite : suites::all_suites()) {
    if (suite->name() == "bandwidth_roofline") continue;  // asks the machine, not the target
    const std::string line = "name = \"" + std::string(suite->name()) + "\"\n";
    EXPECT_NE(asked.find(line), std::string::npos) << suite->name() << " is to be asked here too";
  }
  expect_both_equal(kSuites);
}

TEST(ServeHttp, SoArePublishedDataSets) {
  const auto data = shared_path("data");
  if (!data) GTEST_SKIP() << "data is not under $DS4_SHARED or ../shared";
  expect_both_equal(kPublished, data->string());
}

TEST(ServeHttp, WhatComesInPiecesIsWhatComesWhole) {
  const Served server(Served::tiny({"--sequences", "2"}));
  const TemporaryFolder folder;
  const std::string profile = folder / "profile.toml";
  write_file_atomic(profile,
                    "name = \"pieces\"\ndescription = \"streamed and whole\"\ncheckpoint = \"" +
                        (source_dir() / "checkpoints/tiny").string() +
                        "\"\ntarget = \"http\"\n[server]\nurl = \"" + server.url() + "/v1\"\n" +
                        kPiecesOrWhole);
  const CommandResult run = run_command(
      {DS4_SWEEP_BINARY, "run", profile, "--db", folder / "results.db", "--no-progress"});
  EXPECT_EQ(run.exit_code, 0) << run.out << run.err;
}

}  // namespace
}  // namespace ds4::test_support

// `serve` with clients that others wrote: the official npm package `openai` where it is installed
// (docs/serve.md), and an agent's tool loop in node.
#include <gmock/gmock.h>

#include <cstdlib>

#include "tests/e2e/served.h"

namespace ds4::test_support {
namespace {

using nlohmann::json;

const char* const kNode = "/usr/bin/node";

CommandResult node(const std::string& script, const Served& server,
                   std::vector<std::string> more = {}) {
  const auto sources = source_dir() / "tests/clients";
  // A module is looked for beside the script: with a folder of packages, the script goes there.
  std::filesystem::path path = sources / script;
  if (const char* packages = std::getenv("DS4_NODE_PACKAGES")) {
    path = std::filesystem::path(packages) / script;
    std::filesystem::copy_file(sources / script, path,
                               std::filesystem::copy_options::overwrite_existing);
  }
  more.insert(more.begin(), {kNode, path, server.url() + "/v1", "tiny"});
  return run_command(more);
}

TEST(ServeClients, TheOfficialPackage) {
  if (!std::filesystem::exists(kNode)) GTEST_SKIP() << "node is not installed";
  const Served server(Served::tiny());
  const CommandResult result = node("openai_client.mjs", server);
  if (result.exit_code == 3) {
    GTEST_SKIP() << "the npm package `openai` is not in $DS4_NODE_PACKAGES (docs/serve.md)";
  }
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json got = json::parse(result.out);
  EXPECT_EQ(got["models"], json({"tiny"}));
  EXPECT_EQ(got["whole"], "The capital of France is Paris.");
  EXPECT_EQ(got["streamed"], got["whole"]);
  EXPECT_EQ(got["streamed_usage"]["completion_tokens"], got["usage"]["completion_tokens"]);
  EXPECT_THAT(got["logprob_tokens"].get<std::string>(),
              ::testing::StartsWith(got["whole"].get<std::string>()));
  EXPECT_THAT(got["completion"].get<std::string>(), ::testing::StartsWith("The"));
  EXPECT_EQ(got["errors"], json::parse(R"([
      {"kind": "BadRequestError", "status": 400, "param": "temperature", "code": null},
      {"kind": "NotFoundError", "status": 404, "param": "model", "code": "model_not_found"},
      {"kind": "BadRequestError", "status": 400, "param": "messages", "code": null}])"));
  EXPECT_EQ(got["pieces_before_leaving"], 5);
  EXPECT_TRUE(server.becomes("vllm:num_requests_running", 0)) << "it left in the middle";
}

TEST(ServeClients, AnAgentsToolLoop) {
  if (!std::filesystem::exists(kNode)) GTEST_SKIP() << "node is not installed";
  const Served server(Served::tiny());
  for (const auto& mode : {std::vector<std::string>{}, std::vector<std::string>{"stream"}}) {
    const CommandResult result = node("tool_loop.mjs", server, mode);
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const json got = json::parse(result.out);
    ASSERT_GE(got["calls"].size(), 1u) << got;
    EXPECT_EQ(got["calls"][0], json::parse(R"({"name": "set_timer", "arguments": {"minutes": 12},
                                               "result": {"ends_in_s": 720}})"));
    EXPECT_GE(got["turns"], 2) << "the result was answered to";
  }
}

}  // namespace
}  // namespace ds4::test_support

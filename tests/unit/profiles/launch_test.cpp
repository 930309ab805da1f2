// [launch] for the target `managed`: its keys, the command that becomes of them, and what of it
// names a cell.
#include <gmock/gmock.h>

#include "profiles/exchange/command.h"
#include "tests/unit/profiles/fixtures.h"

namespace ds4::profiles {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const CommandPlace kPlace = {"127.0.0.1", "8123", "/bin/ds4-sweep"};
const std::string kSuite = "[[suite]]\nname = \"smoke\"\n";

std::string managed(const std::string& launch, const std::string& head = "") {
  return "target = \"managed\"\n" + head + "[launch]\n" + launch + kSuite;
}

void expect_refused(const std::string& text, const std::string& what, const std::string& hint) {
  const ProfileLoader loader;
  try {
    loader.load(text);
    ADD_FAILURE() << "loaded: " << text;
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr(what));
    EXPECT_THAT(error.hint(), HasSubstr(hint));
  }
}

TEST(Launch, TheUsualCommandOfVllmHasAPlaceAndTheFlagsOfTheEngine) {
  const ProfileLoader loader;
  const Profile profile =
      loader.load(managed("server = \"vllm\"\nmodel = \"a/b\"\n[launch.flags]\nblock-size = "
                          "256\nenforce-eager = true\n",
                          "[engine]\ncontext_length = 4096\n"));
  EXPECT_THAT(
      managed_command(profile, kPlace),
      ElementsAre("vllm", "serve", "a/b", "--host", "127.0.0.1", "--port", "8123",
                  "--max-model-len", "4096", "--max-num-batched-tokens", "512", "--max-num-seqs",
                  "1", "--kv-cache-dtype", "fp8", "--block-size", "256", "--enforce-eager"));
}

TEST(Launch, PlaceholdersStandForValuesAndOtherBracesForThemselves) {
  const ProfileLoader loader;
  const Profile profile = loader.load(managed(
      "server = \"other\"\nmodel = \"{port}\"\n"
      "command = [\"{ds4-sweep}\", \"--at={host}:{port}\", \"{model}\", \"{\\\"a\\\": {}}\", "
      "\"{served_model}{seed}\", \"{flags}\", \"{Big}\"]\n[launch.flags]\nx = \"{host}\"\n",
      "[server]\nmodel = \"m\"\n"));
  EXPECT_THAT(managed_command(profile, kPlace),
              ElementsAre("/bin/ds4-sweep", "--at=127.0.0.1:8123", "{port}", "{\"a\": {}}", "m0",
                          "--x", "{host}", "{Big}"));
}

TEST(Launch, WhatCannotBeStartedIsRefusedWithItsPlace) {
  expect_refused("target = \"managed\"\n" + kSuite, "needs the section [launch]",
                 "\"vllm\", \"sglang\", \"llama.cpp\", \"ds4-server\" or \"other\"");
  expect_refused(managed("model = \"a/b\"\n"), "needs the key `server`", "\"llama.cpp\"");
  expect_refused(managed("server = \"llama.cpp\"\n"), "needs the key `launch.command`", "words");
  expect_refused(managed("server = \"vlm\"\n"), "launch.server", "");
  expect_refused(managed("server = \"other\"\ncommand = []\n"),
                 "p.toml:4: `launch.command` is empty", "");
  expect_refused(managed("server = \"other\"\ncommand = [\"a\", \"{prot}\"]\n"),
                 "unknown placeholder `{prot}`", "`{port}`");
  expect_refused(managed("server = \"other\"\ncommand = [\"a\", \"x{flags}\"]\n"),
                 "must be a word of its own", "");
  expect_refused(managed("server = \"other\"\ncommand = [\"a\", \"{served_model}\"]\n"),
                 "needs the key `server.model`", "");
  expect_refused(managed("server = \"other\"\ncommand = [\"a\", \"{checkpoint}\"]\n"),
                 "needs the key `checkpoint`", "");
  expect_refused(managed("server = \"other\"\ncommand = [\"a\\nb\"]\n"), "line break", "");
  expect_refused(managed("server = \"vllm\"\n[launch.limits]\nready = 3\n"), "unknown key `ready`",
                 "");
}

TEST(Launch, AKeyStandsInNoCommand) {
  const std::string hint = "server.api_key_env";
  expect_refused(managed("server = \"vllm\"\n[launch.flags]\napi-key = \"sk-1\"\n"),
                 "`api-key` would show a key", hint);
  for (const char* word : {"--api-key", "--api-key=sk-1", "-hf-token"}) {
    expect_refused(
        managed("server = \"other\"\ncommand = [\"a\", \"" + std::string(word) + "\"]\n"),
        "would show a key", hint);
  }
}

TEST(Launch, LimitsAndPathsNameNoCellAndCommandsDo) {
  const ProfileLoader loader;
  const auto key = [&](const std::string& launch) {
    return make_plan(loader.load(managed("server = \"vllm\"\nmodel = \"a/b\"\n" + launch)))
        .cells.at(0)
        .key;
  };
  const std::string plain = key("");
  EXPECT_EQ(
      key("log = \"x.log\"\nfolder = \"f\"\nmetrics_interval = 1\n[launch.limits]\nport = 9\n"),
      plain);
  EXPECT_NE(key("[launch.flags]\nblock-size = 256\n"), plain);
  EXPECT_NE(key("[launch.env]\nX = 1\n"), plain);
  EXPECT_NE(key("command = [\"vllm\"]\n"), plain);
  EXPECT_EQ(key("[launch.flags]\na = 1\nb = true\n"), key("[launch.flags]\nb = true\na = 1\n"));
}

TEST(Launch, AWorkerGetsItWhole) {
  const ProfileLoader loader;
  const Plan plan = make_plan(loader.load(managed(
      "server = \"other\"\nmodel = \"m\"\nrevision = \"r\"\ncommand = [\"a\", \"{port}\"]\n"
      "folder = \"f\"\nlog = \"l\"\nmetrics_interval = \"2s\"\n[launch.flags]\nb = 1\na = true\n"
      "[launch.env]\nX = \"y z\"\n[launch.limits]\nport = 1\nhealth = 2\nmodel = 3\nanswer = 4\n"
      "stop = \"5s\"\n")));
  const LaunchSection& sent = plan.cells.at(0).profile.launch;
  const LaunchSection got = cell_from_json(cell_to_json(plan.cells[0])).profile.launch;
  EXPECT_EQ(got.server, "other");
  EXPECT_EQ(got.model, "m");
  EXPECT_EQ(got.revision, "r");
  EXPECT_EQ(got.command, sent.command);
  EXPECT_EQ(got.folder, loader.path().parent_path() / "f");
  EXPECT_EQ(got.log, loader.path().parent_path() / "l");
  EXPECT_EQ(got.metrics_interval_s, 2);
  EXPECT_EQ(got.flags, sent.flags);
  EXPECT_EQ(got.flags.at(1).name, "a") << "in the order of the file";
  EXPECT_EQ(got.env, sent.env);
  EXPECT_EQ(got.limits.port_s, 1);
  EXPECT_EQ(got.limits.health_s, 2);
  EXPECT_EQ(got.limits.model_s, 3);
  EXPECT_EQ(got.limits.answer_s, 4);
  EXPECT_EQ(got.limits.stop_s, 5);
}

}  // namespace
}  // namespace ds4::profiles

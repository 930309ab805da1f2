// Foreign profiles in and out: every key of the published ones, hostile text, and words that a real
// shell reads back.
#include <gmock/gmock.h>

#include <map>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "profiles/exchange/command.h"
#include "profiles/exchange/env_file.h"
#include "profiles/exchange/export.h"
#include "profiles/exchange/import.h"
#include "profiles/exchange/keys.h"
#include "profiles/exchange/shell.h"
#include "profiles/schema/profile.h"
#include "tests/support/command.h"
#include "tests/support/source_dir.h"
#include "tests/unit/profiles/published_env.h"

namespace ds4::profiles {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Keys = std::map<std::string, std::string>;

Profile imported(const Draft& draft) {
  return parse_profile("p.toml", to_toml(draft));
}

Profile imported_env(const std::string& text, const std::string& name = "x.env") {
  return imported(import_env(text, name));
}

Keys keys_of(const std::string& env) {
  Keys keys;
  for (const EnvEntry& entry : parse_env(env, "again").entries) {
    EXPECT_EQ(entry.problem, "") << entry.key;
    keys[entry.key] = entry.value;
  }
  return keys;
}

std::vector<std::string> reasons(const Draft& draft) {
  std::vector<std::string> result;
  for (const Note& note : draft.notes) result.push_back(note.key + ": " + note.reason);
  return result;
}

TEST(Import, EachPublishedProfileComesBackKeyByKey) {
  for (const PublishedEnv& published : kPublishedEnv) {
    const Draft draft = import_env(published_text(published), std::string(published.name) + ".env");
    EXPECT_THAT(draft.notes, IsEmpty()) << published.name;
    const Profile profile = imported(draft);
    EXPECT_EQ(profile.name, published.name);
    EXPECT_EQ(std::to_string(profile.engine.context_length), published.context);
    EXPECT_EQ(std::to_string(profile.engine.prefill_chunk), published.chunk);
    EXPECT_EQ(profile.engine.draft_tokens, published.drafts ? 2 : 0);
    EXPECT_EQ(profile.memory_floor, std::stoll(published.floor_kb) * 1024);
    EXPECT_EQ(profile.checkpoint, std::string(published.name).starts_with("k144")
                                      ? "synthetic:k144"
                                      : "synthetic:k160");
    const Keys back = keys_of(export_env(profile));
    for (const auto& [key, value] : published_keys(published)) {
      ASSERT_TRUE(back.contains(key)) << published.name << " " << key;
      EXPECT_EQ(back.at(key), value) << published.name << " " << key;
    }
    EXPECT_EQ(back.size(), published_keys(published).size());
  }
}

TEST(Import, TheShippedProfilesAreWhatThePublishedOnesBecome) {
  for (const PublishedEnv& published : kPublishedEnv) {
    const auto path =
        test_support::source_dir() / "profiles" / (std::string(published.name) + ".toml");
    if (!std::filesystem::exists(path)) continue;
    const Profile shipped = load_profile(path);
    const Profile profile = imported_env(published_text(published));
    EXPECT_EQ(shipped.engine.context_length, profile.engine.context_length) << path;
    EXPECT_EQ(shipped.engine.prefill_chunk, profile.engine.prefill_chunk) << path;
    EXPECT_EQ(shipped.engine.draft_tokens, profile.engine.draft_tokens) << path;
    EXPECT_EQ(shipped.engine.kv_dtype, profile.engine.kv_dtype) << path;
    EXPECT_EQ(shipped.engine.sequences, profile.engine.sequences) << path;
    EXPECT_EQ(shipped.memory_floor, profile.memory_floor) << path;
    if (shipped.launch.server.empty()) continue;
    const Keys exported = keys_of(export_env(shipped));
    for (const auto& [key, value] : published_keys(published)) {
      EXPECT_EQ(exported.at(key), value) << path << " " << key;
    }
  }
}

TEST(Import, LauncherKeysComeBackToo) {
  const std::string text =
      "MODEL_REPO=a/b\nPORT=8002\nHOST=0.0.0.0\nIMAGE=repo/image:tag\nNAME=studio\n"
      "ENABLE_TOOLS=1\nENABLE_REASONING=1\nENABLE_PREFIX_CACHING=0\nENFORCE_EAGER=1\n"
      "MOE_BACKEND=marlin\nATTENTION_CONFIG='{\"backend\": \"X Y\"}'\nPATCHER=/opt/patch.py\n"
      "EXTRA_ARGS=\"--block-size 256 --trust-remote-code --seed=7\"\nSPARK_ROOT=/spark\n"
      "MODEL_REPO_LEGACY=a/old\nPYTORCH_CUDA_ALLOC_CONF=expandable_segments:True\n"
      "KV_CACHE_DTYPE=fp8_e4m3\n";
  const Draft draft = import_env(text, "x.env");
  EXPECT_THAT(reasons(draft), IsEmpty());
  const Profile profile = imported(draft);
  EXPECT_EQ(profile.engine.kv_dtype, "fp8");
  Keys back = keys_of(export_env(profile));
  Keys was = keys_of(text);
  EXPECT_EQ(back["EXTRA_ARGS"], "--block-size 256 --trust-remote-code --seed 7");
  was.erase("EXTRA_ARGS");
  for (const auto& [key, value] : was) EXPECT_EQ(back[key], value) << key;
}

TEST(Import, EveryOtherKeyIsNamedWithAReason) {
  const Draft draft = import_env(
      "CTX=4096\nDS4_CUDA_MANAGED_MODEL=1\nDSV4_MEM_FLOOR_GIB=16\nRUN_GSM8K=1\n"
      "HF_TOKEN=hf_abc\nNO_SUCH_KEY=3\nMAX_NUM_SEQS=4096\nTHINKING=maybe\n"
      "SPECULATIVE_CONFIG='{\"method\":\"mtp\",\"num_speculative_tokens\":9}'\n"
      "CTX=8192\nVLLM_MAX_TOKENS=1\n",
      "x.env");
  EXPECT_THAT(
      reasons(draft),
      ElementsAre("CTX: set again below", HasSubstr("phase of another harness"),
                  HasSubstr("HF_TOKEN: a secret"), "NO_SUCH_KEY: unknown",
                  HasSubstr("MAX_NUM_SEQS: not a value here"), "THINKING: neither true nor false",
                  HasSubstr("SPECULATIVE_CONFIG: not a value here")));
  const std::string toml = to_toml(draft);
  EXPECT_THAT(toml, Not(HasSubstr("hf_abc")));
  EXPECT_THAT(toml, HasSubstr("#   NO_SUCH_KEY = \"3\": unknown"));
  const Profile profile = imported(draft);
  EXPECT_EQ(profile.engine.context_length, 8192);
  EXPECT_EQ(profile.engine.residency, "managed");
  EXPECT_EQ(profile.memory_floor, int64_t{16} << 30);
  EXPECT_TRUE(profile.launch.variable("VLLM_MAX_TOKENS"));
}

TEST(Import, NothingInAFileIsRun) {
  const test_support::TemporaryFolder folder;
  const std::string mark = folder / "mark";
  const std::string text = "MODEL_REPO=$(touch " + mark + ")\nIMAGE=`touch " + mark +
                           "`\nNAME=a; touch " + mark + "\ntouch " + mark +
                           "\nSPARK_ROOT=$HOME/spark\nPORT=${PORT:-8002}\nHOST=\"$HOST\"\n"
                           "export SERVED_MODEL_NAME='$(not run)'\nPATCHER=a b\n";
  const Draft draft = import_env(text, "x.env");
  EXPECT_FALSE(std::filesystem::exists(mark));
  EXPECT_EQ(draft.notes.size(), 7u);
  const Profile profile = imported(draft);
  EXPECT_EQ(profile.launch.flag("port")->value, "8002");
  EXPECT_EQ(profile.launch.flag("served-model-name")->value, "$(not run)");
  EXPECT_EQ(profile.launch.model, "");
}

TEST(Import, QuotesAreThoseOfAShell) {
  const auto value = [](const std::string& right) {
    return parse_env("A=" + right, "x").entries.at(0).value;
  };
  EXPECT_EQ(value("'a \"b\" c'"), "a \"b\" c");
  EXPECT_EQ(value("\"a \\\"b\\\" \\$c \\\\d\""), "a \"b\" $c \\d");
  EXPECT_EQ(value("a'b c'\"d e\"f"), "ab cd ef");
  EXPECT_EQ(value("a\\ b  # comment"), "a b");
  EXPECT_EQ(value("a#b"), "a#b");
  EXPECT_EQ(value(""), "");
  EXPECT_EQ(value("x\r"), "x");
  EXPECT_THROW(parse_env("A='open", "x"), Error);
  EXPECT_THROW(parse_env("A=\"open", "x"), Error);
  EXPECT_THROW(parse_env(std::string("A=\0b", 4), "x"), Error);
  EXPECT_THAT(parse_env("rm -rf /\nif true; then\n1A=2\n", "x").others.size(), 3u);
}

constexpr const char* kRecipe = R"({
  "id": "k160", "name": "K160 on one Spark", "backend": "vllm",
  "model_path": "0xSero/DeepSeek-V4-Flash-180B", "served_model_name": "DeepSeek-V4-Flash-Spark",
  "host": "0.0.0.0", "port": 8002, "tensor_parallel_size": 1, "pipeline_parallel_size": 1,
  "max_model_len": 200000, "gpu_memory_utilization": 0.88, "kv_cache_dtype": "fp8",
  "max_num_seqs": 1, "trust_remote_code": true, "tool_call_parser": "deepseek_v4",
  "reasoning_parser": "deepseek_v4", "enable_auto_tool_choice": true, "quantization": null,
  "dtype": null, "python_path": null, "thinking_mode": "enabled", "max_thinking_tokens": null,
  "env_vars": {"PROFILE": "k160-mtp2-200k", "DEEPSEEK_THINKING": "true", "MODEL_MODULE_DIR": "/m"},
  "extra_args": {"description": "with two drafts", "docker_container": "studio",
                 "launch_command": "bash serve.sh k160; rm -rf /",
                 "speculative_config": {"method": "deepseek_mtp", "num_speculative_tokens": 2},
                 "max_num_batched_tokens": 4096, "enforce_eager": false}
})";

TEST(Import, ARecipeKeepsEveryKeyOrSaysWhyNot) {
  const Draft draft = import_recipe(kRecipe, "r.json");
  EXPECT_THAT(reasons(draft),
              ElementsAre(HasSubstr("quantization: empty"), HasSubstr("dtype: empty"),
                          HasSubstr("python_path: empty"), HasSubstr("max_thinking_tokens: empty"),
                          HasSubstr("launch_command: a command")));
  const Profile profile = imported(draft);
  EXPECT_EQ(profile.name, "k160");
  EXPECT_EQ(profile.description, "with two drafts");
  EXPECT_EQ(profile.checkpoint, "synthetic:k160");
  EXPECT_EQ(profile.engine.draft_tokens, 2);
  EXPECT_EQ(profile.engine.prefill_chunk, 4096);
  EXPECT_EQ(profile.launch.container, "studio");
  EXPECT_EQ(*profile.launch.variable("MODEL_MODULE_DIR"), "/m");
  EXPECT_EQ(std::get<bool>(profile.suites.at(0).parameters.at("thinking")), true);
  const auto words = server_command(profile);
  const std::vector<std::string> begin(words.begin(), words.begin() + 3);
  EXPECT_THAT(begin, ElementsAre("vllm", "serve", "0xSero/DeepSeek-V4-Flash-180B"));
  for (const char* word : {"--tensor-parallel-size", "--trust-remote-code", "--tool-call-parser",
                           "--gpu-memory-utilization", "0.88", "--no-enforce-eager",
                           R"({"method":"deepseek_mtp","num_speculative_tokens":2})"}) {
    EXPECT_THAT(words, Contains(word));
  }
}

TEST(Import, HostileRecipesAreRefused) {
  EXPECT_THROW(import_recipe("", "r.json"), Error);
  EXPECT_THROW(import_recipe("[1]", "r.json"), Error);
  EXPECT_THROW(import_recipe("{\"a\":" + std::string(100'000, '['), "r.json"), Error);
  const Draft draft = import_recipe(
      R"({"name": "a\nb = 1", "id": "x\"]\n[engine", "max_model_len": "1\nthreads = 3",
          "env_vars": {"A\nB": "c", "OK": 5}, "extra_args": {"--x": 1, "a b": 2}, "b\n[c]": 1})",
      "r.json");
  const Profile profile = imported(draft);
  EXPECT_EQ(profile.description, "a\nb = 1");
  EXPECT_EQ(profile.engine.threads, 0);
  EXPECT_EQ(*profile.launch.variable("OK"), "5");
  EXPECT_EQ(profile.launch.env.size(), 1u);
  EXPECT_THAT(profile.launch.flags, IsEmpty());
}

TEST(Export, AShellReadsEveryWordBack) {
  const std::vector<std::string> values = {
      "plain", "",    "a b", "it's", "{\"a\": [1, 'x'], \"b\": \"$HOME `id` \\\\\"}",
      "$(id)", "a;b", "-x",  "*",    "~",
      "!",     "täst"};
  const test_support::TemporaryFolder folder;
  std::string script, env;
  for (size_t i = 0; i < values.size(); ++i) {
    script += "printf '%s\\n' " + shell_word(values[i]) + "\n";
    env += "V" + std::to_string(i) + "=" + shell_word(values[i]) + "\n";
  }
  write_file_atomic(folder / "s.sh", script);
  write_file_atomic(folder / "v.env", env);
  std::string expected, by_name;
  for (size_t i = 0; i < values.size(); ++i) {
    expected += values[i] + "\n";
    by_name += "printf '%s\\n' \"$V" + std::to_string(i) + "\"\n";
  }
  EXPECT_EQ(test_support::run_command({"/bin/sh", folder / "s.sh"}).out, expected);
  EXPECT_EQ(test_support::run_command(
                {"/bin/sh", "-c", ". '" + (folder / "v.env").string() + "'\n" + by_name})
                .out,
            expected);
  const EnvFile again = parse_env(env, "v.env");
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(again.entries.at(i).value, values[i]);
}

TEST(Export, TheCommandLineReachesTheServerWordForWord) {
  const Profile profile = imported_env(
      "MODEL_REPO=a/b\nCONTEXT_LENGTH=200000\nATTENTION_CONFIG='{\"x\": \"it'\\''s $1\"}'\n"
      "SPECULATIVE_CONFIG='{\"method\":\"deepseek_mtp\",\"num_speculative_tokens\":2}'\n"
      "VLLM_X='a b'\n");
  const test_support::TemporaryFolder folder;
  write_file_atomic(folder / "vllm", "#!/bin/sh\nprintf '%s\\n' \"$VLLM_X\" \"$@\"\n");
  std::filesystem::permissions(folder / "vllm", std::filesystem::perms::owner_all);
  const auto result = test_support::run_command(
      {"/bin/sh", "-c", "PATH='" + folder.path().string() + "':$PATH\n" + export_command(profile)});
  std::string expected = "a b\n";
  const auto words = server_command(profile);
  for (size_t i = 1; i < words.size(); ++i) expected += words[i] + "\n";
  EXPECT_EQ(result.out, expected) << result.err;
  EXPECT_THAT(expected, HasSubstr("{\"x\": \"it's $1\"}\n"));
}

TEST(Export, DraftsFollowTheEngineSoThatASweepsWinnerIsDeployed) {
  const std::string text =
      "MODEL_REPO=a/b\nSPECULATIVE_CONFIG='{\"method\":\"x\",\"num_speculative_tokens\":2}'\n";
  Profile profile = imported_env(text);
  profile.engine.draft_tokens = 1;
  EXPECT_THAT(server_command(profile), Contains(R"({"method":"x","num_speculative_tokens":1})"));
  profile.engine.draft_tokens = 0;
  EXPECT_THAT(server_command(profile), Not(Contains("--speculative-config")));
  EXPECT_EQ(keys_of(export_env(profile)).at("SPECULATIVE_CONFIG"), "");
  profile.engine.context_length = 4096;
  profile.launch.flags.push_back({"max-num-seqs", "300", false});
  const auto words = server_command(profile);
  EXPECT_THAT(words, Contains("4096"));
  EXPECT_EQ(std::count(words.begin(), words.end(), "--max-num-seqs"), 1);
  EXPECT_THAT(words, Contains("300"));
}

TEST(Export, AComposeFileQuotesForYamlAndCompose) {
  Profile profile = imported_env("MODEL_REPO=a/b\nIMAGE=r/i:1\nVLLM_X='$HOME \"x\": #'\n");
  const std::string compose = export_compose(profile);
  EXPECT_THAT(compose, HasSubstr("image: \"r/i:1\"\n"));
  EXPECT_THAT(compose, HasSubstr("VLLM_X: \"$$HOME \\\"x\\\": #\"\n"));
  EXPECT_THAT(compose, HasSubstr("      - \"--max-model-len\"\n"));
  profile.launch.image = "";
  EXPECT_THROW(export_compose(profile), Error);
  profile.launch.model = "";
  EXPECT_THROW(export_command(profile), Error);
}

TEST(Launch, IsValidated) {
  const auto refusal = [](const std::string& launch) -> std::string {
    try {
      parse_profile("p.toml", "target = \"null\"\n[[suite]]\nname = \"smoke\"\n" + launch);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refusal("[launch]\nserver = \"vllm\"\n[launch.flags]\nport = 1\nx = true\ny = 0.5\n"),
            "");
  EXPECT_THAT(refusal("[launch]\nmodel = \"a\"\n"), HasSubstr("needs the key `server`"));
  EXPECT_THAT(refusal("[launch]\nserver = \"ollama\"\n"), HasSubstr("ollama"));
  EXPECT_THAT(refusal("[launch]\nserver = \"vllm\"\nflag = 1\n"), HasSubstr("unknown key `flag`"));
  const std::string vllm = "[launch]\nserver = \"vllm\"\n";
  EXPECT_THAT(refusal(vllm + "[launch.flags]\n--port = 1\n"), HasSubstr("p.toml:"));
  EXPECT_THAT(refusal(vllm + "[launch.flags]\nport = false\n"), HasSubstr("is false"));
  EXPECT_THAT(refusal(vllm + "[launch.flags]\nport = [1]\n"), HasSubstr("an array"));
  EXPECT_THAT(refusal(vllm + "[launch.env]\nA-B = \"1\"\n"), HasSubstr("no name of a variable"));
  EXPECT_THAT(refusal(vllm + "[launch.env]\nA = \"1\\n2\"\n"), HasSubstr("line break"));
  EXPECT_THAT(refusal(vllm + "[launch.env]\nA = true\n"), HasSubstr("true or false"));
}

}  // namespace
}  // namespace ds4::profiles

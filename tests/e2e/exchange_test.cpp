// `import` and `export` through the binary: files in, profiles that plan and run, files out; what
// is refused, and that nothing in a foreign file is run.
#include <gmock/gmock.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "tests/e2e/sweep.h"
#include "tests/support/source_dir.h"

namespace ds4::test_support {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

CommandResult sweep_verb(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), DS4_SWEEP_BINARY);
  return run_command(arguments);
}

// The lines of a file that are no comments, in any order.
std::vector<std::string> settings_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (!line.empty() && line[0] != '#') lines.push_back(line);
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

constexpr const char* kEnv =
    "# a small one\n"
    "MODEL_REPO=someone/model\n"
    "SERVED_MODEL_NAME='tiny flash'\n"
    "CONTEXT_LENGTH=4096\n"
    "KV_CACHE_MEMORY_BYTES=1G\n"
    "KV_CACHE_DTYPE=fp8\n"
    "MAX_NUM_BATCHED_TOKENS=512\n"
    "MAX_NUM_SEQS=1\n"
    "PORT=8002\n"
    "THINKING=false\n"
    "SPECULATIVE_CONFIG=''\n"
    "VLLM_X=1\n";

TEST(Exchange, AnEnvFileComesInPlansRunsAndGoesOutAgain) {
  const TemporaryFolder folder;
  const std::string env = folder / "small.env", toml = folder / "small.toml";
  const std::string back = folder / "back.env", again = folder / "again.env";
  const std::string tiny = source_dir() / "checkpoints/tiny";
  write_file_atomic(env, kEnv);
  const CommandResult in = sweep_verb({"import", env, "--checkpoint", tiny, "-o", toml});
  ASSERT_EQ(in.exit_code, 0) << in.err;
  EXPECT_EQ(in.out, "");
  EXPECT_EQ(sweep_verb({"plan", toml}).exit_code, 0);

  ASSERT_EQ(sweep_verb({"export", toml, "--as", "env", "-o", back}).exit_code, 0);
  EXPECT_EQ(settings_of(read_file(back)), settings_of(kEnv));
  // What was exported is imported to the same again.
  const std::string twice = folder / "twice.toml";
  ASSERT_EQ(sweep_verb({"import", back, "--checkpoint", tiny, "-o", twice}).exit_code, 0);
  ASSERT_EQ(sweep_verb({"export", twice, "--as", "env", "-o", again}).exit_code, 0);
  EXPECT_EQ(settings_of(read_file(again)), settings_of(kEnv));

  const CommandResult command = sweep_verb({"export", toml});
  for (const char* words : {"vllm serve someone/model", "--max-model-len 4096", "--port 8002",
                            "--served-model-name 'tiny flash'", "VLLM_X=1"}) {
    EXPECT_THAT(command.out, HasSubstr(words));
  }
  // Its suites as they are, answered by a script.
  const std::string script = folder / "script.json", db = folder / "results.db";
  write_file_atomic(script, R"({"rules": [{"text": "OK"}]})");
  const CommandResult run = sweep_verb({"run", toml, "--set", "target=scripted", "--set",
                                        "script=" + script, "--db", db, "--no-progress"});
  EXPECT_EQ(run.exit_code, 0) << run.err << run.out;
  const auto store = reports::Store::open_read_only(db);
  const auto attempts = store->attempts(store->run("latest").id, false);
  std::set<std::string> suites;
  for (const auto& attempt : attempts) {
    EXPECT_EQ(attempt.status, "ok") << attempt.case_id;
    suites.insert(attempt.suite);
  }
  EXPECT_THAT(suites, ::testing::IsSupersetOf({"smoke", "speed"}));
}

TEST(Exchange, NothingIsRunAndWhatIsLeftOutIsSaid) {
  const TemporaryFolder folder;
  const std::string env = folder / "odd.env", mark = folder / "mark";
  write_file_atomic(env, "CONTEXT_LENGTH=4096\nIMAGE=$(touch " + mark + ")\ntouch " + mark +
                             "\nHF_TOKEN=hf_secret\nNO_SUCH_KEY=3\n");
  const CommandResult in = sweep_verb({"import", env});
  EXPECT_EQ(in.exit_code, 0) << in.err;
  EXPECT_FALSE(std::filesystem::exists(mark));
  for (const char* said : {"odd.env:2: IMAGE: a shell would compute it", "HF_TOKEN: a secret",
                           "NO_SUCH_KEY: unknown key, kept as a comment"}) {
    EXPECT_THAT(in.err, HasSubstr(said));
  }
  EXPECT_THAT(in.err + in.out, Not(HasSubstr("hf_secret")));
  EXPECT_THAT(in.out, HasSubstr("NO_SUCH_KEY = \"3\""));
}

TEST(Exchange, ARecipeComesInAndTheCellOfASweepGoesOut) {
  const TemporaryFolder folder;
  const std::string recipe = folder / "recipe.json", toml = folder / "recipe.toml";
  write_file_atomic(recipe, R"({"id": "k160", "name": "K160", "backend": "vllm",
      "model_path": "someone/k160", "max_model_len": 8192, "max_num_seqs": 1, "port": 8000,
      "gpu_memory_utilization": 0.6, "kv_cache_dtype": "fp8", "env_vars": {}, "extra_args": {}})");
  const CommandResult in = sweep_verb({"import", recipe, "-o", toml});
  ASSERT_EQ(in.exit_code, 0) << in.err;
  write_file_atomic(toml,
                    read_file(toml) + "\n[sweep]\n\"engine.context_length\" = [4096, 8192]\n");
  const CommandResult which = sweep_verb({"export", toml});
  EXPECT_EQ(which.exit_code, 2);
  EXPECT_THAT(which.err, HasSubstr("which of its 2 cells?"));
  EXPECT_THAT(which.err, HasSubstr("--cell"));
  const CommandResult winner = sweep_verb({"export", toml, "--cell", "context_length=4096"});
  EXPECT_EQ(winner.exit_code, 0) << winner.err;
  EXPECT_THAT(winner.out, HasSubstr("vllm serve someone/k160"));
  EXPECT_THAT(winner.out, HasSubstr("--max-model-len 4096"));
  EXPECT_EQ(sweep_verb({"export", toml, "--cell", "context_length=5"}).exit_code, 2);

  const CommandResult no_image =
      sweep_verb({"export", toml, "--cell", "context_length=4096", "--as", "compose"});
  EXPECT_EQ(no_image.exit_code, 2);
  EXPECT_THAT(no_image.err, HasSubstr("launch.image"));
  const CommandResult compose =
      sweep_verb({"export", toml, "--cell", "context_length=4096", "--as", "compose", "--set",
                  "launch.image=vllm/vllm-openai:v1"});
  EXPECT_EQ(compose.exit_code, 0) << compose.err;
  EXPECT_THAT(compose.out, HasSubstr("vllm/vllm-openai:v1"));
}

TEST(Exchange, RefusesByFileAndOverwritesOnlyWhenTold) {
  const TemporaryFolder folder;
  const std::string env = folder / "a.env", toml = folder / "a.toml", bad = folder / "bad.json";
  write_file_atomic(env, "CONTEXT_LENGTH=4096\n");
  write_file_atomic(toml, "mine");
  write_file_atomic(bad, "{");
  const CommandResult there = sweep_verb({"import", env, "-o", toml});
  EXPECT_EQ(there.exit_code, 2);
  EXPECT_THAT(there.err, HasSubstr("a.toml: is there already"));
  EXPECT_THAT(there.err, HasSubstr("--force"));
  EXPECT_EQ(read_file(toml), "mine");
  EXPECT_EQ(sweep_verb({"import", env, "-o", toml, "--force"}).exit_code, 0);
  EXPECT_THAT(read_file(toml), HasSubstr("context_length = 4096"));
  const CommandResult broken = sweep_verb({"import", bad});
  EXPECT_EQ(broken.exit_code, 2);
  EXPECT_THAT(broken.err, HasSubstr("bad.json"));
  EXPECT_NE(sweep_verb({"import", folder / "none.env"}).exit_code, 0);
  EXPECT_EQ(sweep_verb({"export", toml, "--as", "sglang"}).exit_code, 2);
}

}  // namespace
}  // namespace ds4::test_support

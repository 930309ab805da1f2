// Log-probabilities from the profile to the verdict: two runs compared token by token, a run's
// file, and a gate that a broken checkpoint breaks.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/base/files.h"
#include "tests/support/command.h"
#include "tests/support/source_dir.h"

namespace ds4::test_support {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

class Traces : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }
  std::vector<std::string> verb(std::vector<std::string> words) const {
    words.insert(words.begin(), DS4_SWEEP_BINARY);
    words.insert(words.end(), {"--db", path("r.db")});
    return words;
  }
  CommandResult run(const std::string& checkpoint, const std::string& gates = "") const {
    write_file_atomic(path("p.toml"),
                      "name = \"traces\"\ndescription = \"token by token\"\ncheckpoint = \"" +
                          checkpoint +
                          "\"\n[engine]\ncontext_length = 400\n[[suite]]\nname = \"logits\"\n"
                          "questions = 2\ntexts = 1\nlengths = [300]\nmax_tokens = 8\n" +
                          gates);
    return run_command(verb({"run", path("p.toml"), "--no-progress", "--no-lock"}));
  }

  TemporaryFolder folder_;
};

TEST_F(Traces, AreComparedStoredAndHeldAgainstABaseline) {
  const fs::path tiny = source_dir() / "checkpoints/tiny";
  ASSERT_EQ(run(tiny).exit_code, 0);
  ASSERT_EQ(run_command(verb({"baseline", "set", "green", "latest"})).exit_code, 0);

  // The same model, but for a base angle that only compressed layers have.
  const fs::path broken = folder_.path() / "broken";
  fs::create_directory(broken);
  for (const fs::directory_entry& file : fs::directory_iterator(tiny)) {
    if (file.path().filename() == "config.json") continue;
    fs::create_symlink(file.path(), broken / file.path().filename());
  }
  json config = json::parse(read_file(tiny / "config.json"));
  config.at("compress_rope_theta") = 10000.0;
  write_file_atomic(broken / "config.json", config.dump());
  const CommandResult bad =
      run(broken,
          "[[gate]]\nsuite = \"logits\"\nmetric = \"kl_divergence\"\nbaseline = \"green\"\n"
          "max = 0.0001\n[[gate]]\nsuite = \"logits\"\nmetric = \"top1_agreement\"\n"
          "baseline = \"green\"\nmin = 0.01\n");
  EXPECT_EQ(bad.exit_code, 1) << bad.out << bad.err;
  EXPECT_THAT(bad.out, HasSubstr("against green"));
  EXPECT_THAT(bad.out, HasSubstr("Perplexity by depth"));

  const CommandResult compared =
      run_command(verb({"compare", "baseline:green", "latest", "--json"}));
  const json traces = json::parse(compared.out).at("traces");
  ASSERT_EQ(traces.size(), 1u) << compared.err;
  EXPECT_EQ(traces[0].at("suite"), "logits");
  EXPECT_EQ(traces[0].at("cases").size(), 3u);
  EXPECT_GT(traces[0].at("kl").get<double>(), 1e-4);
  EXPECT_GE(traces[0].at("depths").size(), 2u);
  EXPECT_THAT(run_command(verb({"compare", "baseline:green", "latest"})).out,
              HasSubstr("Log-probabilities, token by token"));

  const CommandResult written =
      run_command(verb({"traces", "baseline:green", "-o", path("green.jsonl")}));
  ASSERT_EQ(written.exit_code, 0) << written.err;
  EXPECT_THAT(written.err, HasSubstr("3 traces"));
  const auto against = [&](const std::string& run) {
    const CommandResult result =
        run_command(verb({"compare", "trace:" + path("green.jsonl"), run, "--json"}));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return json::parse(result.out).at("traces").at(0);
  };
  const json same = against("baseline:green");
  EXPECT_EQ(same.at("kl"), 0);
  EXPECT_EQ(same.at("top1_agreement"), 1);
  EXPECT_EQ(same.at("answers_equal"), 3);
  EXPECT_EQ(against("latest").at("kl"), traces[0].at("kl"));

  std::ofstream(path("cut.jsonl")) << read_file(path("green.jsonl")).substr(0, 500);
  const CommandResult cut = run_command(verb({"compare", "trace:" + path("cut.jsonl"), "latest"}));
  EXPECT_NE(cut.exit_code, 0);
  EXPECT_THAT(cut.err, HasSubstr("cut.jsonl:2"));
}

}  // namespace
}  // namespace ds4::test_support

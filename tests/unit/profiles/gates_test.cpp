// Gates against baselines, floors and outcomes, and files of gates: what is read, what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/profiles/fixtures.h"

namespace ds4::profiles {
namespace {

using testing::HasSubstr;

std::string with_gate(const std::string& gate, const std::string& limits = "") {
  return "target = \"null\"\n" + limits + "[[suite]]\nname = \"needle\"\n[[gate]]\n" + gate + "\n";
}

TEST(Gates, OfEveryKindAreRead) {
  const ProfileLoader loader;
  const Gate outcome = loader.load(with_gate("no = \"oom\"")).gates.at(0);
  EXPECT_EQ(outcome.outcome, "oom");
  EXPECT_EQ(outcome.figure, "");
  const Gate relative =
      loader
          .load(with_gate("metric = \"decode_rate\"\nnot_worse_by = \"3 %\"\nbaseline = \"green\""))
          .gates.at(0);
  EXPECT_EQ(relative.baseline, "green");
  EXPECT_DOUBLE_EQ(relative.not_worse_by, 0.03);
  EXPECT_FALSE(relative.has_min || relative.has_max);
  const Gate score =
      loader.load(with_gate("score = \"exact\"\nnot_worse_by = 0.01\nbaseline = \"g\""))
          .gates.at(0);
  EXPECT_DOUBLE_EQ(score.not_worse_by, 0.01);
  const Gate floor = loader
                         .load(with_gate("metric = \"peak_memory\"\nmax = \"floor\"",
                                         "[limits]\nmemory_floor = \"2GiB\"\n"))
                         .gates.at(0);
  EXPECT_EQ(floor.floor, int64_t{2} << 30);
  EXPECT_FALSE(floor.has_max);
}

TEST(Gates, OnTracesBoundThemAgainstABaseline) {
  const ProfileLoader loader;
  const Gate gate =
      loader.load(with_gate("metric = \"kl_divergence\"\nbaseline = \"green\"\nmax = 0.01"))
          .gates.at(0);
  EXPECT_EQ(gate.baseline, "green");
  EXPECT_TRUE(gate.has_max);
  EXPECT_DOUBLE_EQ(gate.max, 0.01);
  const auto refuses = [&](const std::string& rest, const char* what) {
    const std::string text = with_gate("metric = \"top1_agreement\"\n" + rest);
    EXPECT_THAT(loader.error(text).what(), HasSubstr(what)) << rest;
  };
  refuses("min = 0.99", "name the other as `baseline`");
  refuses("baseline = \"green\"", "needs `min` or `max`");
  refuses("baseline = \"green\"\nnot_worse_by = 0.1", "`not_worse_by` does not go with");
  refuses("baseline = \"trace:x\"\nmin = 0.9", "is a name that");
}

TEST(Gates, ThatCannotBeMeantAreRefused) {
  const ProfileLoader loader;
  const auto refuses = [&](const std::string& gate, const char* what) {
    EXPECT_THAT(loader.error(with_gate(gate)).what(), HasSubstr(what)) << gate;
  };
  const std::string relative = "metric = \"ttft\"\nbaseline = \"g\"\nnot_worse_by = ";
  refuses("no = \"ooms\"", "p.toml:5");
  refuses("no = \"oom\"\nmin = 1", "p.toml:6: unknown key `min`");
  refuses(relative + "\"3\"", "is no share");
  refuses(relative + "\"3 percent\"", "is no share");
  refuses(relative + "3", "less than 1");
  refuses(relative + "-0.1", "at least 0");
  refuses(relative + "\"3%\"\nmax = 1", "`max` does not go with `baseline`");
  refuses(relative + "\"3%\"\ntags = { length = 512 }", "`tags` does not go with `baseline`");
  refuses("metric = \"ttft\"\nbaseline = \"g\"", "go together");
  refuses("metric = \"ttft\"\nnot_worse_by = \"3%\"", "go together");
  refuses("metric = \"ttft\"\nnot_worse_by = \"3%\"\nbaseline = \"published:x\"", "is a name that");
  refuses("metric = \"planned_memory\"\nnot_worse_by = \"3%\"\nbaseline = \"g\"",
          "neither better higher nor lower");
  refuses("metric = \"ttft\"\nmax = \"floor\"", "only `peak_memory`");
  refuses("metric = \"peak_memory\"\nmax = \"floor\"", "sets no floor");
}

TEST(GateFile, AddsToTheProfilesGatesAndHoldsNothingElse) {
  const ProfileLoader loader;
  loader.load(with_gate("no = \"oom\""));
  Profile profile = load_profile(loader.path());
  const std::filesystem::path file = loader.path().parent_path() / "gates.toml";
  write_file_atomic(file, "[[gate]]\nsuite = \"needle\"\nscore = \"exact\"\nmin = 1.0\n");
  add_gates(profile, file);
  ASSERT_EQ(profile.gates.size(), 2u);
  EXPECT_EQ(profile.gates[1].source, file.string() + ":1");
  for (const char* wrong : {"", "name = \"x\"\n", "[[gate]]\nscore = \"exakt\"\nmin = 1\n"}) {
    write_file_atomic(file, wrong);
    EXPECT_THROW(add_gates(profile, file), Error) << wrong;
  }
  EXPECT_EQ(profile.gates.size(), 2u) << "nothing of a file that is wrong";
}

}  // namespace
}  // namespace ds4::profiles

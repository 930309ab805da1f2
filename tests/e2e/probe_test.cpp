// `probe`: every metric with a unit and plausible values, in the table and as JSON.
#include <gmock/gmock.h>

#include <map>
#include <nlohmann/json.hpp>

#include "engine/base/files.h"
#include "probes/tagged.h"
#include "reports/store/store.h"
#include "tests/e2e/sweep.h"
#include "tests/support/source_dir.h"

namespace ds4::test_support {
namespace {

TEST(Probe, MeasuresTheProcessors) {
  const auto result = run_command({DS4_SWEEP_BINARY, "probe", "--quick", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto probe = nlohmann::json::parse(result.out);
  EXPECT_EQ(probe["format"], "ds4-probe-2");
  EXPECT_EQ(probe["device"], "cpu");
  std::map<std::string, int> seen;
  for (const auto& series : probe["series"]) {
    const std::string metric = series["metric"];
    EXPECT_THAT(std::string(series["of"]), ::testing::HasSubstr("thread")) << metric;
    EXPECT_GE(series["samples"].size(), 3u) << metric;
    for (const auto& sample : series["samples"]) {
      ++seen[metric];
      const double value = sample["value"];
      if (series["unit"] == "1") {
        EXPECT_GT(value, 0) << metric;
        EXPECT_LT(value, 1.1) << metric;  // clocks tick
      } else {
        EXPECT_GT(value, 1e7) << metric;
        EXPECT_LT(value, 1e15) << metric;
      }
    }
    if (series.contains("interval")) {
      EXPECT_LE(series["interval"][0], series["median"]) << metric;
      EXPECT_GE(series["interval"][1], series["median"]) << metric;
    }
  }
  for (const char* metric : {"read_rate", "read_share", "write_rate", "copy_rate", "mix_rate",
                             "working_set_rate", "sgemm_rate", "sgemm_share"}) {
    EXPECT_GE(seen[metric], 1) << metric;
  }
}

TEST(Probe, SaysWhatADeviceHasNot) {
  const auto result = run_command({DS4_SWEEP_BINARY, "probe", "--quick", "--only", "gemv"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, ::testing::HasSubstr("of processors: ceilings"));
  const auto unknown =
      run_command({DS4_SWEEP_BINARY, "probe", "--quick", "--against", "a-toaster"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, ::testing::HasSubstr("spark-bandwidth"));
  // Drafts of a checkpoint only.
  EXPECT_EQ(run_command({DS4_SWEEP_BINARY, "probe", "--drafts", "2"}).exit_code, 2);
}

// The suite that a profile names: every pass is a sample, and the report can be made of them.
TEST(Probe, ASuiteStoresEveryPass) {
  const Sweep sweep("{}", std::string("[[suite]]\nname = \"bandwidth_roofline\"\n") +
                              "[[gate]]\nsuite = \"bandwidth_roofline\"\nscore = \"plausible\"\n"
                              "min = 1\n");
  const auto result =
      run_command(sweep.command({"run", sweep.profile(), "--set", "target=null", "--no-progress"}));
  ASSERT_EQ(result.exit_code, 0) << result.out << result.err;
  const auto store = reports::Store::open_read_only(sweep.db());
  const auto attempts = store->attempts(store->run("latest").id, true);
  ASSERT_EQ(attempts.size(), 1u);
  EXPECT_EQ(attempts[0].case_id, "ceilings");
  EXPECT_EQ(attempts[0].status, "ok");
  EXPECT_EQ(attempts[0].outcome, "ok");
  const auto text = nlohmann::json::parse(attempts[0].text);
  std::map<std::pair<std::string, std::string>, size_t> passes, stored;
  for (const auto& series : text["series"]) {
    passes[{series["metric"], series["of"]}] += series["passes"].size();
  }
  for (const probes::Sample& sample : attempts[0].samples) {
    const probes::Tagged name = probes::read_tagged(sample.metric);
    ++stored[{name.metric, name.of}];
    EXPECT_GE(sample.value, 0) << sample.metric;
    EXPECT_NE(name.of, "") << sample.metric;
  }
  EXPECT_EQ(stored, passes);
  EXPECT_GE(stored.size(), 8u);
  EXPECT_TRUE(attempts[0].score);

  // A group that processors have not is skipped, and why is said.
  const auto none =
      run_command(sweep.command({"run", sweep.profile(), "--set", "target=null", "--set",
                                 "bandwidth_roofline.groups=[\"gemv\"]", "--no-progress"}));
  EXPECT_EQ(none.exit_code, 4) << "nothing was measured: no gate can be decided";
  const std::string id = store->run("latest").id;
  EXPECT_TRUE(store->attempts(id, false).empty());
  const auto launches = store->launches(id);
  ASSERT_EQ(launches.size(), 1u);
  EXPECT_EQ(launches[0].outcome, "ok");
  EXPECT_THAT(launches[0].skipped.at("bandwidth_roofline/gemv"),
              ::testing::HasSubstr("of processors: ceilings"));
  EXPECT_THAT(run_command(sweep.command({"report", "latest"})).out,
              ::testing::HasSubstr("1 suite skipped"));
}

// The most a machine can give, with what a run measured beside it.
TEST(Probe, HoldsARunAgainstTheRoofline) {
  const TemporaryFolder folder;
  const std::string db = folder.path() / "results.db", tiny = source_dir() / "checkpoints/tiny";
  write_file_atomic(
      folder.path() / "profile.toml",
      "name = \"roof\"\ndescription = \"needles\"\ntarget = \"engine\"\ncheckpoint = \"" + tiny +
          "\"\n[engine]\ncontext_length = 1024\n[[suite]]\nname = \"needle\"\n"
          "lengths = [512]\nsamples = [2]\n");
  const auto run =
      run_command({DS4_SWEEP_BINARY, "run", folder.path() / "profile.toml", "--db", db});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto result = run_command({DS4_SWEEP_BINARY, "probe", "--checkpoint", tiny, "--context",
                                   "512,900", "--drafts", "2", "--db", db, "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto roofline = nlohmann::json::parse(result.out);
  EXPECT_EQ(roofline["format"], "ds4-roofline-1");
  ASSERT_EQ(roofline["machines"].size(), 2u);
  const auto& here = roofline["machines"][0];
  EXPECT_FALSE(here["projected"]);
  EXPECT_GT(here["rows"][0]["decode_measured"]["n"], 0);
  EXPECT_GT(here["rows"][0]["decode_measured"]["share"], 0);
  EXPECT_GT(here["rows"][0]["prefill_measured"]["share"], 0);
  EXPECT_TRUE(here["rows"][1]["decode_measured"].is_null());  // nothing near 900 was measured
  EXPECT_GT(here["rows"][0]["drafted_rate"], here["rows"][0]["decode_rate"]);
  const auto& spark = roofline["machines"][1];
  EXPECT_TRUE(spark["projected"]);
  EXPECT_EQ(spark["read_rate"], 247e9);
  EXPECT_TRUE(spark["rows"][0]["prefill_rate"].is_null());  // nobody published its product rate
}

}  // namespace
}  // namespace ds4::test_support

// `probe`: every metric with a unit and plausible values, in the table and as JSON.
#include <gmock/gmock.h>

#include <map>
#include <nlohmann/json.hpp>

#include "tests/e2e/sweep.h"

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
}

}  // namespace
}  // namespace ds4::test_support

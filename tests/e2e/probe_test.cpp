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
  EXPECT_EQ(probe["format"], "ds4-probe-1");
  std::map<std::string, int> seen;
  for (const auto& sample : probe["samples"]) {
    const std::string metric = sample["metric"];
    ++seen[metric];
    const double value = sample["value"];
    if (sample["unit"] == "1") {
      EXPECT_GT(value, 0) << metric;
      EXPECT_LT(value, 1.1) << metric;  // clocks tick
    } else {
      EXPECT_GT(value, 1e7) << metric;
      EXPECT_LT(value, 1e15) << metric;
    }
    EXPECT_THAT(std::string(sample["phase"]), ::testing::HasSubstr("thread"));
  }
  for (const char* metric : {"read_rate", "read_share", "sgemm_rate", "sgemm_share"}) {
    EXPECT_GE(seen[metric], 1) << metric;
  }
}

}  // namespace
}  // namespace ds4::test_support

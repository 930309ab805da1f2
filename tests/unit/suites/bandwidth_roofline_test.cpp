// What figures of probes are worth, from the stored answer alone.
#include <gmock/gmock.h>

#include "engine/base/error.h"
#include "suites/bandwidth_roofline/probing.h"
#include "tests/unit/suites/support.h"

namespace ds4::suites {
namespace {

using ::testing::HasSubstr;

const Suite& suite() {
  return *find_suite("bandwidth_roofline");
}

std::string series(const std::string& metric, const std::string& passes, bool refused = false) {
  return R"({"metric":")" + metric + R"(","of":"a kernel","unit":"B/s","note":"why","refused":)" +
         (refused ? "true" : "false") + R"(,"passes":[)" + passes + "]}";
}

Score score_of(const std::string& all) {
  return suite().score("", content_answer(R"({"format":"ds4-probing-1","series":[)" + all + "]}"));
}

const std::string kPeak = series("memory_peak", R"([100.0,0,""])");

TEST(BandwidthRoofline, PlansACaseForEachGroup) {
  Parameters parameters = default_parameters("bandwidth_roofline");
  EXPECT_EQ(suite().plan(parameters).size(), 1u);
  parameters["groups"] = std::vector<std::string>{"ceilings", "launch"};
  parameters["breakdown"] = int64_t{8192};
  parameters["device"] = std::string("cuda");
  const auto cases = suite().plan(parameters);
  ASSERT_EQ(cases.size(), 3u);
  EXPECT_EQ(cases[1].id, "launch");
  EXPECT_EQ(cases[2].id, "breakdown/8192");
  const Probing probing = probing_of(parameters, cases[2]);
  EXPECT_EQ(probing.group, "breakdown");
  EXPECT_EQ(probing.context, 8192);
  EXPECT_EQ(probing.device, "cuda");
  EXPECT_TRUE(probing.quick);
  parameters["groups"] = std::vector<std::string>{"caverns"};
  EXPECT_THROW(suite().plan(parameters), Error);
}

TEST(BandwidthRoofline, SharesAreOfTheMediansThatCount) {
  // Medians of 80 (60 was thrown out) and 70; the other reading kernel is slower.
  const Score score = score_of(
      kPeak + "," +
      series("read_rate", R"([80.0,1,""],[60.0,2,"power cap"],[81.0,3,""],[79.0,4,""])") + "," +
      series("read_rate", R"([50.0,1,""])") + "," + series("copy_rate", R"([70.0,1,""])"));
  EXPECT_EQ(score.grade, Grade::kCorrect);
  EXPECT_EQ(score.values.at("plausible"), 1);
  EXPECT_DOUBLE_EQ(score.values.at("steady"), 6.0 / 7);
  EXPECT_DOUBLE_EQ(score.values.at("read_of_peak"), 0.8);
  EXPECT_DOUBLE_EQ(score.values.at("copy_of_peak"), 0.7);
  EXPECT_EQ(score.values.size(), profiles::suite_definition(suite()).scores.size());
}

TEST(BandwidthRoofline, WithoutAPeakThereIsNoShareOfIt) {
  const Score score = score_of(series("read_rate", R"([80.0,1,""])"));
  EXPECT_EQ(score.grade, Grade::kCorrect);
  EXPECT_FALSE(score.values.contains("read_of_peak"));
}

TEST(BandwidthRoofline, AnImpossibleRateIsRefused) {
  for (const char* metric :
       {"read_rate", "write_rate", "copy_rate", "mix_rate", "random_read_rate"}) {
    EXPECT_EQ(score_of(kPeak + "," + series(metric, R"([104.0,1,""])")).grade, Grade::kCorrect);
    const Score score = score_of(kPeak + "," + series(metric, R"([106.0,1,""])"));
    EXPECT_EQ(score.grade, Grade::kWrong) << metric;
    EXPECT_EQ(score.values.at("plausible"), 0);
    EXPECT_FALSE(score.values.contains("steady"));
    EXPECT_THAT(score.explanation, HasSubstr(metric));
  }
  EXPECT_EQ(score_of(kPeak + "," + series("working_set_rate", R"([900.0,1,""])")).grade,
            Grade::kCorrect);  // caches are faster
  EXPECT_EQ(score_of(series("read_rate", R"([-1.0,1,""])")).grade, Grade::kWrong);
  EXPECT_EQ(score_of(series("read_rate", R"([null,1,""])")).grade, Grade::kWrong);
  const Score refused = score_of(kPeak + "," + series("", "", true));
  EXPECT_EQ(refused.grade, Grade::kWrong);
  EXPECT_THAT(refused.explanation, HasSubstr("why"));
}

TEST(BandwidthRoofline, NothingMeasuredIsNoVerdict) {
  EXPECT_EQ(score_of("").grade, Grade::kInvalid);
  EXPECT_EQ(score_of(series("tensor_rate", "")).grade, Grade::kInvalid);
}

}  // namespace
}  // namespace ds4::suites

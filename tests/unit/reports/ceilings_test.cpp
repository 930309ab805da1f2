// Ceilings of a run, from the samples that probes left.
#include "reports/figures/ceilings.h"

#include <gtest/gtest.h>

#include "tests/unit/reports/example_data.h"

namespace ds4::reports {
namespace {

using Samples = std::vector<probes::Sample>;

// An answer of the suite, with these samples.
void probe(ExampleRun& run, Samples samples, const std::string& grade = "correct") {
  StoredAttempt& attempt = run.attempt(0, grade);
  attempt.suite = "bandwidth_roofline";
  attempt.prompt_tokens = attempt.completion_tokens = 0;
  attempt.first_token_s = -1;
  attempt.events.clear();
  attempt.samples = std::move(samples);
}

Samples reads(const std::string& of, std::vector<double> values) {
  Samples samples;
  for (const double value : values) samples.push_back({"read_rate{of=" + of + "}", value, 0, ""});
  return samples;
}

TEST(ProbeSeries, IsTheMedianOfThePassesThatCount) {
  ExampleRun run(1);
  Samples samples = reads("F32 sums", {40, 42, 41});
  samples.push_back({"read_rate{of=F32 sums,discarded=power cap}", 10, 0, ""});
  samples.push_back({"read_rate{of=BF16 sums}", 39, 0, ""});
  samples.push_back({"launch_time{of=a kernel}", 2e-6, 0, ""});
  samples.push_back({"launch_time{of=a graph}", 1e-6, 0, ""});
  probe(run, samples);
  const auto all = probe_series(run.data, "k1");
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0].value, 41);
  EXPECT_EQ(all[0].n, 3);
  EXPECT_EQ(all[0].discarded, 1);
  EXPECT_FALSE(all[0].interval);  // three values bound no median
  EXPECT_EQ(best_series(all, "read_rate")->of, "F32 sums");
  EXPECT_EQ(best_series(all, "read_rate", "BF16")->value, 39);
  EXPECT_EQ(best_series(all, "launch_time")->of, "a graph");  // the shorter is better
  EXPECT_EQ(best_series(all, "tensor_rate"), nullptr);

  const auto figure = make_figure(run.data, {"k1", "", {}}, "read_rate");
  ASSERT_TRUE(figure);
  EXPECT_EQ(*(*figure)->value, 41);
  EXPECT_EQ((*figure)->n, 3);
}

TEST(ProbeSeries, WherePassesAllWereThrownOutTheyAreShownAndNoFigure) {
  ExampleRun run(1);
  probe(run, {{"read_rate{of=F32 sums,discarded=too hot}", 10, 0, ""}});
  const auto all = probe_series(run.data, "k1");
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].value, 10);
  EXPECT_EQ(all[0].n, 0);
  EXPECT_FALSE(make_figure(run.data, {"k1", "", {}}, "read_rate"));
}

TEST(ProbeSeries, TheNewestCountsAndRefusedOnesDoNot) {
  ExampleRun run(1);
  probe(run, reads("F32 sums", {40, 41, 42, 43, 44, 45, 46}));
  probe(run, reads("F32 sums", {50, 51, 52, 53, 54, 55, 56}));
  probe(run, reads("F32 sums", {9e15}), "wrong");
  const auto all = probe_series(run.data, "k1");
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].value, 53);
  EXPECT_EQ(all[0].attempt_id, 2);
  ASSERT_TRUE(all[0].interval);
  EXPECT_EQ(all[0].interval->lo, 50);
  EXPECT_EQ(all[0].interval->hi, 56);
}

TEST(ProbeSeries, AnAnswersOwnSamplesAreNone) {
  ExampleRun run(1);
  run.attempt(0, "correct").samples = {{"kv_cache", 7, 0, ""},
                                       {"operation_time{of=experts}", 1, 0, "decode"}};
  EXPECT_TRUE(probe_series(run.data, "k1").empty());
}

}  // namespace
}  // namespace ds4::reports

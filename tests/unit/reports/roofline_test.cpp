// The engine against the roofline, by hand: 100 B/s of reading, 1,000 FLOP/s of products.
#include "reports/figures/roofline.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "reports/pages/page.h"
#include "reports/pages/render.h"
#include "tests/unit/reports/example_data.h"

namespace ds4::reports {
namespace {

using ::testing::HasSubstr;

StoredAttempt& probe(ExampleRun& run, std::vector<probes::Sample> samples) {
  StoredAttempt& attempt = run.attempt(0, "correct");
  attempt.suite = "bandwidth_roofline";
  attempt.case_id = "ceilings";
  attempt.tags = {{"group", "ceilings"}};
  attempt.prompt_tokens = attempt.completion_tokens = attempt.cached_tokens = 0;
  attempt.first_token_s = -1;
  attempt.events.clear();
  attempt.samples = std::move(samples);
  return attempt;
}

void measure_ceilings(ExampleRun& run) {
  probe(run, {{"read_rate{of=F32 sums}", 90, 0, ""},
              {"read_rate{of=F32 sums}", 100, 0, ""},
              {"read_rate{of=F32 sums}", 110, 0, ""},
              {"read_rate{of=BF16 sums}", 95, 0, ""},
              {"tensor_rate{of=BF16}", 800, 0, ""},
              {"tensor_rate{of=BF16, wgmma}", 1000, 0, ""},
              {"tensor_rate{of=FP8 E4M3}", 5000, 0, ""},
              {"memory_peak{of=pins x clock}", 125, 0, ""},
              {"tensor_peak{of=BF16}", 2000, 0, ""}});
}

// An answer of 2 tokens a second behind 64 prompt tokens, which were read in 4 s.
StoredAttempt& answer(ExampleRun& run, const std::string& length) {
  StoredAttempt& attempt = run.attempt(static_cast<int>(run.data.attempts.size()), "correct");
  attempt.suite = "speed";
  attempt.tags = {{"length", length}};
  attempt.prompt_tokens = 64;
  attempt.cached_tokens = 0;
  attempt.completion_tokens = 3;
  attempt.first_token_s = 4;
  attempt.events = {{4, 1}, {4.5, 1}, {5, 1}};
  attempt.end_s = 5;
  return attempt;
}

const std::vector<probes::Sample> kDemand = {{"demand_bytes{of=experts}", 15, 0, "decode"},
                                             {"demand_flops{of=experts}", 30, 0, "decode"},
                                             {"demand_bytes{of=LM head}", 10, 0, "decode"},
                                             {"demand_flops{of=LM head}", 40, 0, "decode"},
                                             {"demand_bytes{of=experts}", 50, 0, "prefill"},
                                             {"demand_flops{of=experts}", 1500, 0, "prefill"},
                                             {"demand_bytes{of=LM head}", 10, 0, "prefill"},
                                             {"demand_flops{of=LM head}", 100, 0, "prefill"}};

TEST(Roofline, TheRoofIsTheFastestOfWhatTheRunMeasured) {
  ExampleRun run(1);
  EXPECT_FALSE(measured_roof(run.data, "k1"));
  measure_ceilings(run);
  const auto roof = measured_roof(run.data, "k1");
  ASSERT_TRUE(roof);
  EXPECT_EQ(roof->read_rate, 100);
  EXPECT_EQ(roof->product_rate, 1000);  // FP8 is another kind of product
  EXPECT_EQ(roof->product, "BF16, wgmma");
  EXPECT_EQ(roof->memory_peak, 125);
  EXPECT_EQ(roof->product_peak, 2000);
  EXPECT_EQ(least_seconds(25, 70, *roof), 0.25);
  EXPECT_STREQ(bound_by(25, 70, *roof), "memory");
  EXPECT_EQ(least_seconds(60, 1600, *roof), 1.6);
  EXPECT_STREQ(bound_by(60, 1600, *roof), "arithmetic");
  EXPECT_EQ(published_spark().read_rate, 247e9);
  EXPECT_TRUE(published_spark().projected);
  EXPECT_EQ(least_seconds(247e9, 1e30, published_spark()), 1);  // no product rate is known
}

TEST(Roofline, RowsAreDemandOverCeilings) {
  ExampleRun run(3);
  measure_ceilings(run);
  answer(run, "64").samples = kDemand;
  answer(run, "64");  // the demand stands with the first only, the rates are of both
  const auto rows = roofline_rows(run.data, "k1", *measured_roof(run.data, "k1"));
  ASSERT_EQ(rows.size(), 6u);
  const RooflineRow& token = rows[0];
  EXPECT_EQ(token.pass, Pass::kToken);
  EXPECT_EQ(token.component, "");
  EXPECT_EQ(token.context, 64);
  EXPECT_EQ(token.bytes, 25);
  EXPECT_EQ(token.flops, 70);
  EXPECT_EQ(token.most, 4);  // 25 bytes at 100 B/s
  ASSERT_TRUE(token.measured);
  EXPECT_EQ(*(*token.measured)->value, 2);
  EXPECT_EQ((*token.measured)->n, 2);
  EXPECT_EQ(*token.share(), 0.5);
  EXPECT_EQ(rows[1].component, "experts");
  EXPECT_EQ(rows[1].least_s, 0.15);
  EXPECT_FALSE(rows[1].share());
  EXPECT_EQ(rows[2].component, "LM head");
  const RooflineRow& prefill = rows[3];
  EXPECT_EQ(prefill.pass, Pass::kPrefill);
  EXPECT_EQ(prefill.tokens, 64);
  EXPECT_EQ(prefill.least_s, 1.6);  // 1,600 FLOP at 1,000
  EXPECT_EQ(prefill.most, 40);
  EXPECT_EQ(*(*prefill.measured)->value, 16);
  EXPECT_EQ(*prefill.share(), 0.4);
}

TEST(Roofline, ARoundIsCountedWithTheTokensItGave) {
  ExampleRun run(3);
  measure_ceilings(run);
  auto drafted = kDemand;
  drafted.insert(drafted.end(), {{"demand_bytes{of=drafting: MTP blocks}", 10, 0, "round"},
                                 {"demand_flops{of=drafting: MTP blocks}", 10, 0, "round"},
                                 {"demand_bytes{of=experts}", 40, 0, "round"},
                                 {"demand_flops{of=experts}", 60, 0, "round"},
                                 {"acceptance_length", 2.5, 0, ""}});
  answer(run, "64").samples = drafted;
  const auto rows = roofline_rows(run.data, "k1", *measured_roof(run.data, "k1"));
  ASSERT_EQ(rows.size(), 9u);
  EXPECT_FALSE(rows[0].measured);  // no token was decoded without drafts
  EXPECT_EQ(rows[0].most, 4);
  const RooflineRow& round = rows[3];
  EXPECT_EQ(round.pass, Pass::kRound);
  EXPECT_EQ(round.bytes, 50);
  EXPECT_EQ(round.tokens, 2.5);
  EXPECT_EQ(round.most, 5);  // 2.5 tokens in half a second
  EXPECT_EQ(*round.share(), 0.4);

  // Without the tokens of a round nothing can be said of it.
  run.data.attempts.back().samples.pop_back();
  for (const RooflineRow& row : roofline_rows(run.data, "k1", *measured_roof(run.data, "k1"))) {
    EXPECT_NE(row.pass, Pass::kRound);
  }
}

TEST(Roofline, StepsAreTakenApart) {
  ExampleRun run(1);
  measure_ceilings(run);
  StoredAttempt& step = probe(run, {{"step_time{of=1 rows}", 0.5, 0, "decode"},
                                    {"operation_time{of=attend}", 0.2, 0, "decode"},
                                    {"operation_bytes{of=attend}", 5, 0, "decode"},
                                    {"operation_flops{of=attend}", 150, 0, "decode"},
                                    {"operation_time{of=experts}", 0.4, 0, "decode"},
                                    {"operation_bytes{of=experts}", 20, 0, "decode"},
                                    {"operation_flops{of=experts}", 40, 0, "decode"}});
  step.case_id = "breakdown/8192";
  step.prompt_tokens = 8192;
  const auto steps = broken_down_steps(run.data, "k1", *measured_roof(run.data, "k1"));
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_TRUE(steps[0].decode);
  EXPECT_EQ(steps[0].context, 8192);
  EXPECT_EQ(steps[0].seconds, 0.5);
  EXPECT_NEAR(steps[0].watched_s(), 0.6, 1e-12);
  EXPECT_NEAR(steps[0].least_s(), 0.35, 1e-12);
  EXPECT_EQ(steps[0].operations[0].name, "experts");  // the most expensive first
  EXPECT_EQ(steps[0].operations[0].share(), 0.5);
  EXPECT_NEAR(steps[0].operations[1].share(), 0.75, 1e-12);  // bound by its operations
}

TEST(Roofline, TheReportHasItsTablesAndItsChart) {
  ExampleRun run(3);
  measure_ceilings(run);
  answer(run, "64").samples = kDemand;
  TemporaryFolder folder;
  const auto store = Store::open(folder.path() / "results.db");
  run.write(*store);
  const Page page = build_page(*store, run.data.run.id);
  const auto section = std::find_if(page.sections.begin(), page.sections.end(),
                                    [](const Section& s) { return s.id == "roofline"; });
  ASSERT_NE(section, page.sections.end());
  ASSERT_EQ(section->charts.size(), 1u);
  const Chart& chart = section->charts[0];
  EXPECT_THAT(chart.answer, HasSubstr("Decode at 64 reaches 50.0 % of its roof"));
  EXPECT_TRUE(chart.x.log && chart.y.log);
  // The roof bends where both take equally long: 10 operations per byte.
  const auto& roof = chart.series[0].points;
  ASSERT_EQ(roof.size(), 3u);
  EXPECT_EQ(roof[1].x, 10);
  EXPECT_EQ(roof[1].y, 1000 / 1e9);
  EXPECT_EQ(roof[2].y, 1000 / 1e9);
  EXPECT_TRUE(chart.series[1].dashed);
  EXPECT_EQ(chart.table.rows.size(), 2u);
  const std::string text = render_markdown(page);
  EXPECT_THAT(text, HasSubstr("A projection"));
  EXPECT_THAT(text, HasSubstr("F32 pure read"));
  EXPECT_THAT(text, HasSubstr("| 80.0 % |"));  // 100 of the pins' 125 B/s

  // As JSON: the cell under its own roof, then under the published one.
  const auto rooflines = nlohmann::json::parse(render_json(page)).at("rooflines");
  ASSERT_EQ(rooflines.size(), 2u);
  EXPECT_EQ(rooflines[0]["read_rate"], 100);
  EXPECT_EQ(rooflines[0]["product_rate"], 1000);
  const auto& passes = rooflines[0]["passes"];
  ASSERT_EQ(passes.size(), 6u);
  EXPECT_EQ(passes[0]["pass"], "decode");
  EXPECT_TRUE(passes[0]["component"].is_null());
  EXPECT_EQ(passes[0]["bound_by"], "memory");
  EXPECT_EQ(passes[0]["most"], 4);
  EXPECT_EQ(passes[0]["measured"], 2);
  EXPECT_EQ(passes[0]["share"], 0.5);
  EXPECT_EQ(passes[1]["component"], "experts");
  EXPECT_FALSE(passes[1].contains("measured"));
  EXPECT_EQ(passes[3]["bound_by"], "arithmetic");
  EXPECT_EQ(rooflines[0]["ceilings"].size(), probe_series(run.data, "k1").size());
  EXPECT_TRUE(rooflines[1]["projected"]);
  EXPECT_TRUE(rooflines[1]["product_rate"].is_null());
  EXPECT_EQ(rooflines[1]["passes"].size(), 3u);  // no prefill

  // Without probes there is no such section.
  ExampleRun plain(1);
  plain.attempt(0, "correct");
  const auto other = Store::open(folder.path() / "other.db");
  plain.write(*other);
  for (const Section& s : build_page(*other, plain.data.run.id).sections) {
    EXPECT_NE(s.id, "roofline");
  }
}

}  // namespace
}  // namespace ds4::reports

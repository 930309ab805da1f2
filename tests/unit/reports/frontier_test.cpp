// The walk along one text, from rows small enough to compute by hand.
#include <gmock/gmock.h>

#include "reports/figures/frontier.h"
#include "reports/pages/render.h"
#include "tests/unit/reports/example_data.h"

namespace ds4::reports {
namespace {

// Three tokens: the first after first_s, then one each 0.1 s.
void add_step(ExampleRun& run, int64_t tokens, int64_t cached, double first_s, int launch = 1) {
  StoredAttempt& attempt = run.attempt(static_cast<int>(tokens), "correct");
  attempt.suite = "frontier";
  attempt.tags = {{"frontier", std::to_string(tokens)}};
  attempt.launch = launch;
  attempt.prompt_tokens = tokens;
  attempt.cached_tokens = cached;
  attempt.first_token_s = first_s;
  attempt.events = {{first_s, 1}, {first_s + 0.1, 1}, {first_s + 0.2, 1}};
  attempt.samples = {{"kv_cache", 10.0 * static_cast<double>(tokens), 0, "prefill"}};
}

TEST(Frontier, RatesAreThoseOfThePieceAlone) {
  ExampleRun run(3);
  run.launch("ok");
  add_step(run, 300, 200, 0.25);  // whatever their order in the store
  add_step(run, 100, 0, 0.5);
  add_step(run, 200, 100, 0.5);
  const std::vector<FrontierStep> steps = frontier_steps(run.data);
  ASSERT_EQ(steps.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(steps[i].ctx_tokens, 100 * static_cast<int64_t>(i + 1));
    EXPECT_EQ(steps[i].prefill_tokens, 100);
    EXPECT_NEAR(*steps[i].decode_rate, 10, 1e-9);
    EXPECT_EQ(steps[i].kv_bytes, 1000 * static_cast<int64_t>(i + 1));
    EXPECT_EQ(steps[i].remark, "");
  }
  EXPECT_NEAR(*steps[1].prefill_rate, 200, 1e-9);
  EXPECT_NEAR(*steps[2].prefill_rate, 400, 1e-9);
}

TEST(Frontier, SaysWhatTheCacheDidNotHave) {
  ExampleRun run(4);
  run.launch("ok");
  add_step(run, 1000, 0, 1);
  add_step(run, 2000, 768, 1);  // a server with blocks of 256
  add_step(run, 3000, 0, 3);    // and one that forgot
  add_step(run, 4000, 0, 0.5);  // and one that remembers in silence
  const std::vector<FrontierStep> steps = frontier_steps(run.data);
  EXPECT_THAT(steps[1].remark, testing::HasSubstr("768 of the 1000"));
  EXPECT_NEAR(*steps[1].prefill_rate, 1232, 1e-9);
  EXPECT_THAT(steps[2].remark, testing::HasSubstr("cold"));
  EXPECT_NEAR(*steps[2].prefill_rate, 1000, 1e-9);
  EXPECT_THAT(steps[3].remark, testing::HasSubstr("does not tell"));
  EXPECT_FALSE(steps[3].prefill_rate);
}

TEST(Frontier, LaunchesAreWalksOfTheirOwn) {
  ExampleRun run(2);
  run.launch("ok").launch("ok");
  for (const int launch : {1, 2}) {
    add_step(run, 100, 0, 0.5, launch);
    add_step(run, 200, 100, 0.5, launch);
  }
  const std::vector<FrontierStep> steps = frontier_steps(run.data);
  ASSERT_EQ(steps.size(), 4u);
  for (const FrontierStep& step : steps) EXPECT_EQ(step.remark, "");
}

TEST(Frontier, CsvHasTheColumnsOfDs4Bench) {
  ExampleRun run(1);
  run.launch("ok");
  add_step(run, 100, 0, 0.5);
  Page page;
  page.cells = run.data.cells;
  page.frontiers = frontier_steps(run.data);
  page.frontiers[0].kv_bytes.reset();
  EXPECT_EQ(render_ds4_bench(page),
            "ctx_tokens,prefill_tokens,prefill_tps,gen_tokens,gen_tps,kvcache_bytes\n"
            "100,100,200.00,3,10.00,\n");
  page.cells.push_back(page.cells[0]);
  page.cells[0].label = "a \"b\"";
  EXPECT_EQ(render_ds4_bench(page).substr(0, 9), "cell,ctx_");
  EXPECT_THAT(render_ds4_bench(page), testing::HasSubstr("\n\"a \"\"b\"\"\",100,"));
}

}  // namespace
}  // namespace ds4::reports

// The work counted call by call against the model's own sums of sizes, which know nothing of calls.
#include "engine/api/breakdown.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "engine/api/demand.h"
#include "engine/api/inventory.h"
#include "engine/base/error.h"
#include "tests/bench/model_work.h"
#include "tests/support/source_dir.h"

namespace ds4 {
namespace {

BreakdownOptions tiny(int64_t context) {
  BreakdownOptions options;
  options.checkpoint = test_support::source_dir() / "checkpoints/tiny";
  options.settings.threads = 1;
  options.settings.prefill_chunk = 100;
  options.context = context;
  options.repeats = 1;
  return options;
}

TEST(Breakdown, CountsWhatTheModelNeeds) {
  // Behind 30 tokens nothing is chosen; behind 2,300 the indexer scores 575 rows.
  for (const int64_t context : {30, 2300}) {
    SCOPED_TRACE(context);
    const BreakdownOptions options = tiny(context);
    const Breakdown breakdown = break_down(options);
    EngineSettings settings = options.settings;
    settings.context_length = context + 1;
    const bench::ModelWork work(options.checkpoint, settings);

    // Only the inventory has norms, sinks, mixing factors and all rows of the compressors' ape, of
    // which a token needs one; only the breakdown has small operations and the streams' sums.
    const OperationCost decode = breakdown.decode.total();
    const auto weights = static_cast<double>(take_inventory(options.checkpoint).bytes_per_token);
    EXPECT_NEAR(decode.weight_bytes / weights, 1, 0.03);
    EXPECT_NEAR(decode.flops / work.decode_flops(context), 1, 0.02);
    EXPECT_GT(decode.bytes, decode.weight_bytes);

    const int64_t chunk = std::min<int64_t>(context, options.settings.prefill_chunk);
    const OperationCost prefill = breakdown.prefill.total();
    EXPECT_EQ(breakdown.prefill.rows, chunk);
    const double expected = work.prefill_flops(context) - work.prefill_flops(context - chunk) +
                            work.prefill_flops(0);  // the logits of the last row
    EXPECT_NEAR(prefill.flops / expected, 1, 0.02);
  }
}

double flops_of(const StepBreakdown& step, const std::string& prefix) {
  double flops = 0;
  for (const OperationCost& cost : step.operations) {
    if (cost.name.starts_with(prefix)) flops += cost.flops;
  }
  return flops;
}

const PassDemand::Part* part_of(const PassDemand& demand, const std::string& name) {
  for (const PassDemand::Part& part : demand.parts) {
    if (part.name == name) return &part;
  }
  return nullptr;
}

TEST(PassDemand, IsWhatTheBreakdownCounts) {
  for (const int64_t context : {30, 2300}) {
    SCOPED_TRACE(context);
    const BreakdownOptions options = tiny(context);
    const Breakdown breakdown = break_down(options);
    const int64_t chunk = std::min<int64_t>(context, options.settings.prefill_chunk);
    const PassDemand token = pass_demand(options.checkpoint, context, 1, 1);
    const PassDemand prefill = pass_demand(options.checkpoint, context - chunk, chunk, 1);
    EXPECT_DOUBLE_EQ(token.total().weight_bytes,
                     static_cast<double>(take_inventory(options.checkpoint).bytes_per_token));
    for (const auto& [demand, step] :
         {std::pair{&token, &breakdown.decode}, std::pair{&prefill, &breakdown.prefill}}) {
      SCOPED_TRACE(step->rows);
      EXPECT_NEAR(demand->total().flops / step->total().flops, 1, 0.02);
      EXPECT_DOUBLE_EQ(part_of(*demand, "cached rows")->flops, flops_of(*step, "attend"));
      const PassDemand::Part* keys = part_of(*demand, "indexer's keys");
      EXPECT_DOUBLE_EQ(keys ? keys->flops : 0, flops_of(*step, "select rows"));
      // The breakdown's bytes have activations, too.
      EXPECT_LT(demand->total().cache_bytes, step->total().bytes - step->total().weight_bytes);
      EXPECT_GT(demand->total().cache_bytes, 0);
    }
  }
}

TEST(Breakdown, TimesEveryOperation) {
  const Breakdown breakdown = break_down(tiny(300));
  for (const StepBreakdown* step : {&breakdown.decode, &breakdown.prefill}) {
    EXPECT_GT(step->submit_seconds, 0);
    EXPECT_GE(step->seconds, step->submit_seconds);
    EXPECT_EQ(step->launches, 0);
    EXPECT_EQ(step->gpu_seconds, 0);
    for (const OperationCost& cost : step->operations) {
      EXPECT_GT(cost.seconds, 0) << cost.name;
      EXPECT_GT(cost.bytes, 0) << cost.name;
      EXPECT_NE(cost.name, "project another matrix");
    }
    EXPECT_TRUE(std::is_sorted(step->operations.begin(), step->operations.end(),
                               [](const auto& a, const auto& b) { return a.seconds > b.seconds; }));
  }
}

TEST(Breakdown, RefusesAnEmptyContext) {
  EXPECT_THROW(break_down(tiny(0)), Error);
}

TEST(Breakdown, FillsMemoryInsteadOfComputingIt) {
  BreakdownOptions options = tiny(256 + 1024 + 100);
  options.computed = 256;
  options.generated = 3;
  const Breakdown filled = break_down(options);
  EXPECT_EQ(filled.prompt_tokens, 256);
  EXPECT_GT(filled.generated_seconds, 0);
  EXPECT_EQ(filled.settings.context_length, options.context + 4);
  options.computed = 0;
  const Breakdown computed = break_down(options);
  EXPECT_EQ(computed.prompt_tokens, options.context);
  // The same work at the same length, and no row left out.
  EXPECT_EQ(filled.decode.total().bytes, computed.decode.total().bytes);
  EXPECT_EQ(filled.prefill.total().flops, computed.prefill.total().flops);
  options.computed = 250;
  EXPECT_THROW(break_down(options), Error);
}

}  // namespace
}  // namespace ds4

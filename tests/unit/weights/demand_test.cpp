// What passes need on the real shapes, against sums that others published of K160 and that were
// done by hand.
#include "engine/api/demand.h"

#include <gtest/gtest.h>

namespace ds4::weights {
namespace {

constexpr const char* kReal = "synthetic:k160";

PassDemand::Part part(const PassDemand& demand, const std::string& name) {
  for (const PassDemand::Part& p : demand.parts) {
    if (p.name == name) return p;
  }
  return {};
}

TEST(PassDemand, OfATokenOnTheRealShapes) {
  const PassDemand token = pass_demand(kReal, 8192, 1, 1);
  EXPECT_EQ(token.total().weight_bytes, 11183748316);
  // 43 layers of three 4096 x 2048 matrices, the shared expert, a multiply-add each.
  EXPECT_EQ(part(token, "shared expert").flops, 2.0 * 43 * 3 * 4096 * 2048);
  EXPECT_EQ(part(token, "routed experts").flops, 6 * part(token, "shared expert").flops);
  EXPECT_EQ(part(token, "LM head").flops, 2.0 * 129280 * 4096);
  // 128 recent rows in each layer, 512 chosen ones in 21 of them and 64 compressed ones in 20, of
  // 584 bytes; 2,048 keys of 68 bytes in 21 layers.
  EXPECT_EQ(part(token, "cached rows").cache_bytes, 584.0 * (43 * 128 + 21 * 512 + 20 * 64));
  EXPECT_EQ(part(token, "indexer's keys").cache_bytes, 21.0 * 2048 * 68);
  EXPECT_EQ(part(token, "cached rows").flops, 4.0 * 64 * 512 * (43 * 128 + 21 * 512 + 20 * 64));
}

TEST(PassDemand, NothingIsChosenWhereAllFits) {
  const PassDemand token = pass_demand(kReal, 1000, 1, 1);
  EXPECT_EQ(part(token, "indexer's keys").cache_bytes, 0);
  EXPECT_EQ(part(token, "cached rows").cache_bytes, 584.0 * (43 * 128 + 21 * 250 + 20 * 7));
}

// Bytes of checking K tokens at once, as published: 14.5, 17.7, 20.8, 23.8 and 26.6 GB.
TEST(PassDemand, ChecksReadTheUnionOfExperts) {
  const double published[] = {14.5, 17.7, 20.8, 23.8, 26.6};
  for (int64_t rows = 2; rows <= 6; ++rows) {
    EXPECT_NEAR(pass_demand(kReal, 8192, rows, rows).total().weight_bytes / 1e9,
                published[rows - 2], 0.1)
        << rows;
  }
}

TEST(PassDemand, AChunkReadsWeightsOnceAndMultipliesForEachRow) {
  const PassDemand one = pass_demand(kReal, 0, 1, 1), many = pass_demand(kReal, 0, 4096, 1);
  EXPECT_EQ(part(many, "attention projections").weight_bytes,
            part(one, "attention projections").weight_bytes);
  EXPECT_EQ(part(many, "attention projections").flops,
            4096 * part(one, "attention projections").flops);
  EXPECT_EQ(part(many, "LM head").flops, part(one, "LM head").flops);
  // Every expert is taken by some row.
  EXPECT_NEAR(part(many, "routed experts").weight_bytes /
                  (part(one, "routed experts").weight_bytes * 160 / 6),
              1, 1e-9);
}

TEST(DraftDemand, TheClassicBlockRunsOnceADraft) {
  const PassDemand one = draft_demand(kReal, 1), two = draft_demand(kReal, 2);
  EXPECT_EQ(part(one, "LM head").weight_bytes, 2.0 * 129280 * 4096);
  EXPECT_EQ(two.total().weight_bytes, 2 * one.total().weight_bytes);
  EXPECT_EQ(two.total().flops, 2 * one.total().flops);
  // What is not experts of 2,309,543,916 stored bytes, and six experts of 13,369,344 of 160.
  EXPECT_DOUBLE_EQ(part(one, "MTP blocks").weight_bytes, 2309543916.0 - 154 * 13369344.0);
}

}  // namespace
}  // namespace ds4::weights

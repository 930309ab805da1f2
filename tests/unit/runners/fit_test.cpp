// Predictions, verdicts and remedies: hand-made ones against arithmetic, real shapes against sums
// made here.
#include <gmock/gmock.h>

#include "engine/api/session.h"
#include "engine/base/error.h"
#include "runners/engine_settings.h"
#include "runners/fit/remedy.h"
#include "runners/fit/verdict.h"

namespace ds4::runners::fit {
namespace {

using ::testing::HasSubstr;
constexpr int64_t kGiB = int64_t{1} << 30;

// 60 GiB on the GPU, 2 in the process, 1 of each while loading.
Prediction sixty() {
  return {{{"weights", 60 * kGiB, Place::kGpu, false},
           {"process", 2 * kGiB, Place::kHost, false},
           {"staging", kGiB, Place::kGpu, true},
           {"pinned", kGiB, Place::kHost, true}}};
}

profiles::Machine unified(int64_t total, int64_t held, int64_t floor) {
  profiles::Machine machine;
  machine.unified = true;
  machine.memory = profiles::MemoryPool{total, held, floor};
  return machine;
}

profiles::Machine card(int64_t total) {
  profiles::Machine machine;
  machine.gpu = profiles::MemoryPool{total, 0, 0};
  return machine;
}

profiles::Profile engine_cell(const std::string& checkpoint) {
  profiles::Profile cell;
  cell.checkpoint = checkpoint;
  cell.engine.device = "cuda";
  cell.engine.context_length = 200000;
  cell.engine.prefill_chunk = 4096;
  return cell;
}

int64_t bytes_of(const Prediction& prediction, const std::string& owner) {
  for (const Owner& o : prediction.owners) {
    if (o.name == owner) return o.bytes;
  }
  return 0;
}

TEST(Prediction, PhasesDifferByWhatLoadingGivesBack) {
  EXPECT_EQ(sixty().peak(Phase::kLoad, Place::kGpu), 61 * kGiB);
  EXPECT_EQ(sixty().peak(Phase::kPrefill, Place::kGpu), 60 * kGiB);
  EXPECT_EQ(sixty().peak(Phase::kDecode, Place::kHost), 2 * kGiB);
}

TEST(Verdict, UnifiedMemoryCountsEverythingOnce) {
  const Verdict verdict = judge(sixty(), unified(100 * kGiB, 20 * kGiB, 6 * kGiB));
  EXPECT_EQ(verdict.fit, Fit::kFits);
  EXPECT_EQ(verdict.need, 64 * kGiB);
  EXPECT_EQ(verdict.margin(), 10 * kGiB);
  EXPECT_EQ(verdict.phase, Phase::kLoad);
}

TEST(Verdict, TightIsLessThanThePredictionMayBeOff) {
  // 2 % of 61 GiB on the GPU, and 256 MiB of the 3 GiB of the process: 1.47 GiB.
  const auto fit_with = [](double free_gib) {
    return judge(sixty(), unified(static_cast<int64_t>(free_gib * static_cast<double>(kGiB)), 0, 0))
        .fit;
  };
  EXPECT_EQ(fit_with(65.48), Fit::kFits);
  EXPECT_EQ(fit_with(65.46), Fit::kTight);
  EXPECT_EQ(fit_with(64), Fit::kTight);
  EXPECT_EQ(fit_with(63.99), Fit::kDoesNotFit);
}

TEST(Verdict, TheProfilesFloorReplacesTheMachines) {
  const profiles::Machine machine = unified(80 * kGiB, 0, 20 * kGiB);
  EXPECT_EQ(judge(sixty(), machine).fit, Fit::kDoesNotFit);
  EXPECT_EQ(judge(sixty(), machine, Floors{8 * kGiB, 8 * kGiB, 8 * kGiB}).margin(), 8 * kGiB);
}

TEST(Verdict, WhatTheGuardKeepsFreeCannotBeUsed) {
  const profiles::Machine machine = unified(100 * kGiB, 0, 4 * kGiB);
  profiles::Profile cell;
  EXPECT_EQ(floors_of(cell, machine), (Floors{5 * kGiB, 5 * kGiB, 5 * kGiB})) << "a twentieth";
  cell.memory_floor = 3 * kGiB;
  EXPECT_EQ(floors_of(cell, machine), (Floors{3 * kGiB, 3 * kGiB, 3 * kGiB}));
  cell.guard.floor = 8 * kGiB;
  cell.guard.floors = {{"capture", 9 * kGiB}, {"decode", 2 * kGiB}, {"teardown", 50 * kGiB}};
  EXPECT_EQ(floors_of(cell, machine), (Floors{8 * kGiB, 9 * kGiB, 3 * kGiB}));
  cell.guard.enabled = false;
  EXPECT_EQ(floors_of(cell, machine), (Floors{3 * kGiB, 3 * kGiB, 3 * kGiB}));
  EXPECT_EQ(floors_of(cell, card(70 * kGiB)), Floors{}) << "nothing is said of the processors";
}

TEST(Verdict, ThePhaseWithTheLeastMarginDecides) {
  const profiles::Machine machine = unified(80 * kGiB, 0, 0);
  const Verdict verdict = judge(sixty(), machine, Floors{0, 0, 40 * kGiB});
  EXPECT_EQ(verdict.phase, Phase::kDecode);
  EXPECT_EQ(verdict.fit, Fit::kDoesNotFit);
  EXPECT_EQ(verdict.usable, 40 * kGiB);
}

TEST(Verdict, ACardIsJudgedByWhatLiesOnIt) {
  EXPECT_EQ(judge(sixty(), card(70 * kGiB)).margin(), 9 * kGiB);
  EXPECT_EQ(judge(sixty(), card(70 * kGiB)).memory, "GPU memory");
  profiles::Machine machine = card(70 * kGiB);
  machine.memory = profiles::MemoryPool{2 * kGiB, 0, 0};
  const Verdict verdict = judge(sixty(), machine);
  EXPECT_EQ(verdict.fit, Fit::kDoesNotFit);
  EXPECT_EQ(verdict.memory, "memory");
  EXPECT_EQ(verdict.margin(), -kGiB);
}

TEST(Verdict, RefusesAMemoryThatTheModelDoesNotKnow) {
  const Prediction on_host{{{"weights", kGiB, Place::kHost, false}}};
  EXPECT_THROW(judge(on_host, card(70 * kGiB)), Error);
  profiles::Machine no_card;
  no_card.memory = profiles::MemoryPool{100 * kGiB, 0, 0};
  EXPECT_THROW(judge(sixty(), no_card), Error);
  EXPECT_EQ(judge(on_host, no_card).margin(), 99 * kGiB);
}

TEST(Prediction, HoldsTheEnginesPlanAndWhatLiesBesideIt) {
  const profiles::Profile cell = engine_cell("synthetic:k160");
  const MemoryEstimate estimate = estimate_memory(cell.checkpoint, engine_settings(cell.engine));
  const Prediction prediction = predict(cell);
  EXPECT_EQ(prediction.peak(Phase::kDecode, Place::kGpu), estimate.total_bytes());
  EXPECT_EQ(prediction.peak(Phase::kDecode, Place::kHost), kProcessBytes);
  const int64_t staging = bytes_of(prediction, "load staging");
  EXPECT_GT(staging, 0);
  EXPECT_EQ(prediction.peak(Phase::kLoad, Place::kGpu), estimate.total_bytes() + staging);
  EXPECT_EQ(prediction.peak(Phase::kLoad, Place::kHost), kProcessBytes + staging);
}

TEST(Prediction, MappedWeightsAreFilePagesOfTheHost) {
  profiles::Profile cell = engine_cell("synthetic:k160");
  const Prediction device = predict(cell);
  cell.engine.residency = "mapped";
  const Prediction mapped = predict(cell);
  const int64_t pages = bytes_of(mapped, "weights, file pages");
  EXPECT_GE(pages, bytes_of(device, "weights") - bytes_of(mapped, "weight tables"));
  EXPECT_EQ(bytes_of(mapped, "weights"), 0);
  EXPECT_LT(bytes_of(mapped, "weight tables"), 1 << 20);
  EXPECT_EQ(mapped.peak(Phase::kDecode, Place::kHost), pages + kProcessBytes);
  EXPECT_EQ(mapped.peak(Phase::kDecode, Place::kGpu), device.peak(Phase::kDecode, Place::kGpu) -
                                                          bytes_of(device, "weights") +
                                                          bytes_of(mapped, "weight tables"));
  for (const Owner& owner : mapped.owners) EXPECT_EQ(owner.file, owner.bytes == pages);
  // One file serves engines that draft and engines that do not.
  cell.engine.draft_tokens = 2;
  EXPECT_EQ(bytes_of(predict(cell), "weights, file pages"), pages);
  EXPECT_EQ(bytes_of(predict(cell), "MTP weights"), 0);
}

TEST(Prediction, DraftsBringTheirWeights) {
  profiles::Profile cell = engine_cell("synthetic:k160");
  EXPECT_EQ(bytes_of(predict(cell), "MTP weights"), 0);
  const int64_t plain = bytes_of(predict(cell), "weights");
  cell.engine.draft_tokens = 2;
  const Prediction drafting = predict(cell);
  EXPECT_EQ(bytes_of(drafting, "weights"), plain);
  // 160 experts and the shared one: three matrices of 4096 x 2048, in 4.25 and 8.001 bits.
  const double experts = 3.0 * 4096 * 2048 * (160 * 4.25 / 8 + 1);
  EXPECT_GT(static_cast<double>(bytes_of(drafting, "MTP weights")), experts);
  EXPECT_LT(static_cast<double>(bytes_of(drafting, "MTP weights")), 1.15 * experts);
}

TEST(Prediction, IsNothingWithoutAnEngine) {
  profiles::Profile cell;
  cell.target = "null";
  EXPECT_TRUE(predict(cell).owners.empty());
}

TEST(Prediction, OfTheCpuLivesInTheProcess) {
  profiles::Profile cell = engine_cell("synthetic:k160:layers=3:shape=micro");
  cell.engine.device = "cpu";
  const Prediction prediction = predict(cell);
  EXPECT_EQ(prediction.peak(Phase::kLoad, Place::kGpu), 0);
  EXPECT_EQ(prediction.peak(Phase::kLoad, Place::kHost),
            estimate_memory(cell.checkpoint, engine_settings(cell.engine)).total_bytes());
}

Fit fit_of(const profiles::Profile& cell, const profiles::Machine& machine) {
  return judge(predict(cell), machine).fit;
}

TEST(Remedies, NameTheNearestValueThatFits) {
  profiles::Profile cell = engine_cell("synthetic:k160");
  cell.engine.kv_dtype = "bf16";
  cell.engine.context_length = 1000000;
  cell.engine.sequences = 3;
  const Prediction all = predict(cell);
  profiles::Profile single = cell;
  single.engine.sequences = 2;
  // Room for two sequences, their tolerance and a little more, not for three.
  const int64_t two = predict(single).peak(Phase::kLoad, Place::kGpu);
  const profiles::Machine machine = card(two + two / 50 + (int64_t{64} << 20));
  ASSERT_EQ(fit_of(cell, machine), Fit::kDoesNotFit) << all.peak(Phase::kLoad, Place::kGpu) - two;
  bool context = false, sequences = false;
  for (const Remedy& remedy : remedies(cell, machine)) {
    profiles::Profile changed = cell, next = cell;
    if (remedy.key == "engine.context_length") {
      context = true;
      changed.engine.context_length = std::stoll(remedy.value);
      next.engine.context_length = changed.engine.context_length + 1024;
    } else if (remedy.key == "engine.sequences") {
      sequences = true;
      EXPECT_EQ(remedy.value, "2");
      EXPECT_FALSE(remedy.changes_answers);
      changed.engine.sequences = 2;
    } else if (remedy.key == "engine.kv_dtype") {
      EXPECT_TRUE(remedy.changes_answers);
      changed.engine.kv_dtype = "fp8";
    } else {
      ASSERT_EQ(remedy.key, "engine.prefill_chunk");
      changed.engine.prefill_chunk = std::stoll(remedy.value);
      next.engine.prefill_chunk = changed.engine.prefill_chunk * 2;
    }
    EXPECT_EQ(fit_of(changed, machine), Fit::kFits) << remedy.key;
    EXPECT_NE(fit_of(next, machine), Fit::kFits) << remedy.key;
  }
  EXPECT_TRUE(context && sequences);
}

TEST(Remedies, FewerExpertsWhenNothingElseHelps) {
  const profiles::Profile cell = engine_cell("synthetic:k256");
  const profiles::Machine machine = card(100 * kGiB);
  const std::vector<Remedy> found = remedies(cell, machine);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].key, "checkpoint");
  const std::string name = found[0].value.substr(1, found[0].value.size() - 2);
  const int experts = std::stoi(name.substr(std::string("synthetic:k").size()));
  EXPECT_EQ(fit_of(engine_cell(name), machine), Fit::kFits);
  EXPECT_NE(fit_of(engine_cell("synthetic:k" + std::to_string(experts + 1)), machine), Fit::kFits);
  EXPECT_TRUE(remedies(engine_cell("synthetic:k8"), card(kGiB)).empty());
}

}  // namespace
}  // namespace ds4::runners::fit

// [sweep]: which cells come of axes, zips, modes and conditions, and under which keys.
#include <gmock/gmock.h>

#include <random>
#include <set>

#include "tests/unit/profiles/fixtures.h"

namespace ds4::profiles {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kHead =
    "target = \"null\"\n[[suite]]\nname = \"needle\"\n[[suite]]\nname = \"smoke\"\n";

Plan plan_of(const std::string& tail, const std::vector<std::string>& overrides = {}) {
  return make_plan(ProfileLoader().load(kHead + tail, overrides));
}

std::vector<std::string> labels(const Plan& plan) {
  std::vector<std::string> texts;
  for (const Cell& cell : plan.cells) texts.push_back(cell.label);
  return texts;
}

TEST(Sweep, AnyKeyMayVary) {
  const Plan plan = plan_of(
      "[sweep]\n\"sampling.temperature\" = [0, 1]\n\"limits.memory_floor\" = [\"6GiB\", \"8GiB\"]\n"
      "\"limits.case_timeout\" = [\"1m\"]\nneedle.cases = [2, 3]\n");
  ASSERT_EQ(plan.cells.size(), 8u);
  EXPECT_EQ(plan.cells[3].label, "temperature=0 memory_floor=8GiB case_timeout=1m needle.cases=3");
  EXPECT_EQ(plan.cells[3].profile.memory_floor, int64_t{8} << 30);
  EXPECT_EQ(plan.cells[3].profile.case_timeout_s, 60);
  EXPECT_EQ(plan.cells[7].profile.sampling.temperature, 1);
}

// Limits do not enter a key, except where cells differ by them.
TEST(Sweep, CellsThatDifferByALimitHaveKeysOfTheirOwn) {
  const Plan floors = plan_of("[sweep]\n\"limits.memory_floor\" = [\"6GiB\", \"8GiB\"]\n");
  ASSERT_EQ(floors.cells.size(), 2u);
  EXPECT_NE(floors.cells[0].key, floors.cells[1].key);
  EXPECT_EQ(plan_of("[limits]\nmemory_floor = \"6GiB\"\n").cells[0].key, plan_of("").cells[0].key);
}

TEST(Sweep, TheTargetMayVaryAndNeedsWhatItNeeds) {
  const Plan plan = plan_of("[sweep]\ntarget = [\"null\", \"scripted\"]\n", {"script=x.json"});
  EXPECT_THAT(labels(plan), ElementsAre("target=null", "target=scripted"));
  try {
    plan_of("[sweep]\ntarget = [\"null\", \"engine\"]\n");
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("the target `engine` needs the key `checkpoint`"));
  }
}

TEST(Sweep, KeysOfAZipVaryTogether) {
  const Plan plan = plan_of(
      "[sweep]\n\"engine.seed\" = [1, 2]\n[[sweep.zip]]\n\"engine.context_length\" = [4096, "
      "65536]\n"
      "\"needle.lengths\" = [[2048], [60000]]\n[[sweep.zip]]\nengine.threads = [1, 2]\n");
  ASSERT_EQ(plan.cells.size(), 8u);
  EXPECT_EQ(plan.cells[0].label, "seed=1 context_length=4096 needle.lengths=[2048] threads=1");
  EXPECT_EQ(plan.cells[7].label, "seed=2 context_length=65536 needle.lengths=[60000] threads=2");
  EXPECT_THAT(plan.cells[2].choice, ElementsAre(0, 1, 0));
  EXPECT_EQ(plan.profile.axes[1].name(), "engine.context_length, needle.lengths");
  // A zipped cell is the cell that has these values.
  const Plan written = plan_of("[engine]\nseed = 2\ncontext_length = 65536\nthreads = 2\n",
                               {"needle.lengths=[60000]"});
  EXPECT_EQ(plan.cells[7].key, written.cells[0].key);
}

TEST(Sweep, AKeyThatIsSetLeavesItsZip) {
  const std::string zip = "[[sweep.zip]]\n\"engine.seed\" = [1, 2]\n\"engine.threads\" = [3, 4]\n";
  EXPECT_THAT(labels(plan_of(zip, {"engine.seed=7"})), ElementsAre("threads=3", "threads=4"));
  EXPECT_THAT(labels(plan_of(zip, {"engine.seed=7", "engine.threads=1"})), ElementsAre("default"));
}

TEST(Sweep, OneAtATimeVariesEachKeyAlone) {
  const std::string axes =
      "\"engine.seed\" = [1, 2, 3]\n\"engine.kv_dtype\" = [\"fp8\", \"bf16\"]\n"
      "[[sweep.zip]]\n\"engine.threads\" = [1, 2]\n\"engine.sequences\" = [1, 2]\n";
  const Plan plan = plan_of("[sweep]\nmode = \"one_at_a_time\"\n" + axes);
  EXPECT_THAT(labels(plan), ElementsAre("seed=1 kv_dtype=fp8 threads=1 sequences=1",
                                        "seed=2 kv_dtype=fp8 threads=1 sequences=1",
                                        "seed=3 kv_dtype=fp8 threads=1 sequences=1",
                                        "seed=1 kv_dtype=bf16 threads=1 sequences=1",
                                        "seed=1 kv_dtype=fp8 threads=2 sequences=2"));
  // The same cells under the same keys as in the whole product.
  std::set<std::string> all;
  for (const Cell& cell : plan_of("[sweep]\n" + axes).cells) all.insert(cell.key);
  EXPECT_EQ(all.size(), 12u);
  for (const Cell& cell : plan.cells) EXPECT_TRUE(all.contains(cell.key)) << cell.label;
}

TEST(Sweep, ConditionsLeaveCellsOutAndSayHowMany) {
  const Plan plan = plan_of(
      "[sweep]\nexclude = [\"engine.draft_tokens > 0 and engine.context_length >= 65536\", "
      "\"engine.kv_dtype == bf16\"]\n\"engine.draft_tokens\" = [0, 2]\n"
      "\"engine.context_length\" = [4096, 65536]\n\"engine.kv_dtype\" = [\"fp8\", \"bf16\"]\n");
  EXPECT_THAT(labels(plan), ElementsAre("draft_tokens=0 context_length=4096 kv_dtype=fp8",
                                        "draft_tokens=0 context_length=65536 kv_dtype=fp8",
                                        "draft_tokens=2 context_length=4096 kv_dtype=fp8"));
  ASSERT_EQ(plan.excluded.size(), 2u);
  EXPECT_EQ(plan.excluded[0].cells, 2);
  EXPECT_EQ(plan.excluded[1].cells, 3) << "those the first one left";
}

// Every operator against the comparison it stands for, on keys of every kind.
TEST(Sweep, ConditionsCompareAsTheySay) {
  const auto left = [](const std::string& condition) {
    const Plan plan = plan_of("[sweep]\nexclude = ['" + condition +
                              "', \"engine.threads == 9\"]\n\"engine.seed\" = [1, 2, 3]\n"
                              "\"engine.threads\" = [1]\n");
    std::string seeds;
    for (const Cell& cell : plan.cells) seeds += std::to_string(cell.profile.engine.seed);
    return seeds;
  };
  EXPECT_EQ(left("engine.seed == 2"), "13");
  EXPECT_EQ(left("engine.seed != 2"), "2");
  EXPECT_EQ(left("engine.seed < 2"), "23");
  EXPECT_EQ(left("engine.seed <= 2"), "3");
  EXPECT_EQ(left("engine.seed > 2"), "12");
  EXPECT_EQ(left("engine.seed>=2"), "1");
  EXPECT_EQ(left("needle.share > 0.4 and engine.seed > 2"), "12") << "a key that does not vary";
  EXPECT_EQ(left("needle.share > 0.5 and engine.seed > 2"), "123");
  EXPECT_EQ(left("needle.thinking == false and engine.seed == 1"), "23");
  EXPECT_EQ(left("needle.style == \"a and b\" and engine.seed == 1"), "123") << "text with a blank";
  EXPECT_EQ(left("sampling.temperature == 0 and engine.seed == 1"), "23");
  EXPECT_EQ(left("limits.memory_floor >= \"6GiB\" and engine.seed == 1"), "123");
  EXPECT_EQ(left("limits.case_timeout <= \"10m\" and engine.seed == 1"), "23");
}

TEST(Sweep, ACheckpointIsComparedByItsName) {
  const Plan plan = plan_of(
      "[sweep]\nexclude = [\"checkpoint == 'tiny:k20'\"]\ncheckpoint = [\"a/tiny\", "
      "\"b/tiny:k20\"]\n");
  EXPECT_THAT(labels(plan), ElementsAre("checkpoint=tiny"));
}

TEST(Sweep, RefusesWhatCannotBeRun) {
  const auto error = [](const std::string& tail) {
    try {
      plan_of(tail);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_THAT(error("[sweep]\nexclude = [\"engine.seed >= 0\"]\n\"engine.seed\" = [1, 2]\n"),
              HasSubstr("leaves no cell"));
  EXPECT_THAT(
      error("[[sweep.zip]]\n\"engine.seed\" = [1, 1, 1]\n\"needle.share\" = [1, 0.5, 1.0]\n"),
      HasSubstr("two cells that measure the same"));
  std::string many;
  for (int i = 0; i < 101; ++i) many += (i ? ", " : "") + std::to_string(i);
  EXPECT_THAT(
      error("[sweep]\n\"engine.seed\" = [" + many + "]\n\"engine.threads\" = [" + many + "]\n"),
      HasSubstr("more than 10000"));
  EXPECT_EQ(error("[sweep]\nmode = \"one_at_a_time\"\n\"engine.seed\" = [" + many +
                  "]\n\"engine.threads\" = [" + many + "]\n"),
            "no error");
}

// Against an expansion of its own: nested loops over the values, filtered by the condition's
// meaning written in C++.
TEST(Sweep, RandomSweepsGiveExactlyTheCellsOfNestedLoops) {
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    const auto list = [&](int least) {
      std::vector<int> values;
      const int n = 1 + static_cast<int>(random() % 4);
      for (int i = 0, value = least; i < n; ++i, value += 1 + static_cast<int>(random() % 3)) {
        values.push_back(value);
      }
      std::shuffle(values.begin(), values.end(), random);
      return std::pair{values, [&] {
                         std::string text;
                         for (const int v : values)
                           text += (text.empty() ? "" : ",") + std::to_string(v);
                         return text;
                       }()};
    };
    const auto [seeds, seed_text] = list(0);
    const auto [threads, thread_text] = list(1);
    const auto [chunks, chunk_text] = list(1);
    const int bound = static_cast<int>(random() % 6), other = 1 + static_cast<int>(random() % 5);
    std::vector<std::string> expected;
    for (const int seed : seeds) {
      for (const int thread : threads) {
        for (const int chunk : chunks) {
          if ((seed > bound && thread == other) || chunk <= 1) continue;
          expected.push_back("seed=" + std::to_string(seed) + " threads=" + std::to_string(thread) +
                             " prefill_chunk=" + std::to_string(chunk));
        }
      }
    }
    const std::string tail = "[sweep]\nexclude = [\"engine.seed > " + std::to_string(bound) +
                             " and engine.threads == " + std::to_string(other) +
                             "\", \"engine.prefill_chunk <= 1\"]\n\"engine.seed\" = [" + seed_text +
                             "]\n\"engine.threads\" = [" + thread_text +
                             "]\n\"engine.prefill_chunk\" = [" + chunk_text + "]\n";
    if (expected.empty()) {
      EXPECT_THROW(plan_of(tail), Error);
    } else {
      EXPECT_EQ(labels(plan_of(tail)), expected) << tail;
    }
  }
}

}  // namespace
}  // namespace ds4::profiles

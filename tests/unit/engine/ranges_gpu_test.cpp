// Profilers see a range per operation and one around each step: this executable listens to NVTX
// itself, in place of a profiler.
#include <gtest/gtest.h>
#include <nvtx3/nvToolsExt.h>

#include <map>
#include <string>
#include <vector>

#include "engine/cache/kv_cache.h"
#include "engine/model/forward.h"
#include "tests/unit/engine/golden_file.h"
#include "tests/unit/engine/test_device.h"

namespace ds4::golden {
namespace {

struct Ranges {
  std::vector<std::string> open;
  std::map<std::string, int> closed;  // how often, by the names of all open ones: "step/attend"
};
Ranges ranges;

int NVTX_API push(const char* name) {
  ranges.open.push_back(ranges.open.empty() ? name : ranges.open.back() + "/" + name);
  return static_cast<int>(ranges.open.size());
}

int NVTX_API pop() {
  if (ranges.open.empty()) return NVTX_NO_PUSH_POP_TRACKING;
  ++ranges.closed[ranges.open.back()];
  ranges.open.pop_back();
  return static_cast<int>(ranges.open.size());
}

int NVTX_API listen(NvtxGetExportTableFunc_t get_table) {
  const auto* callbacks =
      static_cast<const NvtxExportTableCallbacks*>(get_table(NVTX_ETID_CALLBACKS));
  NvtxFunctionTable table = nullptr;
  unsigned size = 0;
  if (!callbacks || !callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE, &table, &size))
    return 0;
  *table[NVTX_CBID_CORE_RangePushA] = reinterpret_cast<NvtxFunctionPointer>(push);
  *table[NVTX_CBID_CORE_RangePop] = reinterpret_cast<NvtxFunctionPointer>(pop);
  return 1;
}

// NVTX looks for a listener here at its first range.
const bool kListening = (InitializeInjectionNvtx2_fnptr = listen, true);

TEST(ProfilerRanges, OneForEachOperationOfAStep) {
  const weights::ModelWeights weights = weights::load_weights(vectors_dir() / "models/one_csa");
  const auto backend = make_test_backend(Precision::kReference, 0);
  model::Forward forward(weights, *backend, 64);
  EngineSettings settings;
  settings.device = kTestDevice;
  settings.context_length = 128;
  settings.prefill_chunk = 64;
  const cache::KvCache cache(*backend, cache::plan_cache(weights.config, settings));
  const std::vector<TokenId> tokens(64, 1);
  const model::SequenceRows rows{tokens, 0, &cache};
  ASSERT_TRUE(kListening);
  ranges = {};
  forward.run({&rows, 1});
  forward.logits(63, 1);
  EXPECT_TRUE(ranges.open.empty());
  const std::map<std::string, int> once = {{"step", 1},
                                           {"step/embed", 1},
                                           {"step/rotation", 2},
                                           {"step/mix_in", 2},
                                           {"step/mix_out", 2},
                                           {"step/attend", 1},
                                           {"step/select_rows", 1},
                                           {"step/compress", 2},
                                           {"step/experts", 1},
                                           {"step/route", 1},
                                           {"step/store_raw_rows", 1},
                                           {"step/project_groups", 1},
                                           {"mix_head", 1},
                                           {"project_wide", 1}};
  for (const auto& [name, count] : once) EXPECT_EQ(ranges.closed[name], count) << name;
  EXPECT_GE(ranges.closed["step/project"] + ranges.closed["step/project_each"], 3);

  // A replayed step is one range: its operations are the GPU's alone.
  const model::SequenceRows row{std::span(tokens).first(1), 64, &cache};
  for (int i = 0; i < 2; ++i) forward.run({&row, 1});
  ranges = {};
  forward.run({&row, 1});
  EXPECT_EQ(ranges.closed, (std::map<std::string, int>{{"step", 1}}));
}

}  // namespace
}  // namespace ds4::golden

// The CPU back end on every instruction set this machine has, not only the best.
#include <gtest/gtest.h>

#include <cstdio>

#include "hwy/highway.h"
#include "tests/unit/engine/golden_file.h"
#include "tests/unit/engine/model_check.h"

namespace ds4::golden {
namespace {

TEST(InstructionSets, EachMatchesTheReference) {
  for (const int64_t target : {HWY_AVX3, HWY_AVX2, HWY_SSE4, HWY_NEON}) {
    if (!(hwy::SupportedTargets() & target)) continue;
    SCOPED_TRACE(hwy::TargetName(target));
    std::printf("[  target  ] %s\n", hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    for (const char* name : {"one_csa", "one_hca", "odd"}) {
      check_model(vectors_dir() / "models" / name, vectors_dir() / "models" / name);
    }
  }
  hwy::SetSupportedTargetsForTest(0);
}

}  // namespace
}  // namespace ds4::golden

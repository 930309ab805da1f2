// The CUDA engine passes the self-test within the same bounds as the CPU's; skipped without a GPU.
#include <gtest/gtest.h>

#include "engine/api/selftest.h"
#include "engine/base/error.h"

namespace ds4 {
namespace {

TEST(Selftest, TheCudaEnginePasses) {
  try {
    gpu_name();
  } catch (const Error& error) {
    GTEST_SKIP() << error.what();
  }
  SelftestOptions options;
  options.device = Device::kCuda;
  const SelftestReport report = run_selftest(options, Engine::load);
  for (const SelftestCheck& check : report.checks) {
    EXPECT_TRUE(check.passed) << check.name << ": " << check.error << " > " << check.bound << " "
                              << check.note;
  }
}

}  // namespace
}  // namespace ds4

// The golden tests run on the CUDA back end; without a GPU all of them are skipped with the reason.
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "tests/unit/engine/op_fixture.h"

namespace ds4::golden {

const Device kTestDevice = Device::kCuda;

std::unique_ptr<ops::Backend> make_test_backend(Precision precision, int /*threads*/) {
  return ops::make_cuda_backend(precision);
}

namespace {

class NeedsGpu : public ::testing::Environment {
 public:
  void SetUp() override {
    try {
      ops::make_cuda_backend(Precision::kReference);
    } catch (const Error& error) {
      GTEST_SKIP() << error.what();
    }
  }
};

const ::testing::Environment* const kNeedsGpu = ::testing::AddGlobalTestEnvironment(new NeedsGpu);

}  // namespace
}  // namespace ds4::golden

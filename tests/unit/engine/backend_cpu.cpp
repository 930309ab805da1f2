// The golden tests run on the CPU back end.
#include "tests/unit/engine/op_fixture.h"

namespace ds4::golden {

const Device kTestDevice = Device::kCpu;

std::unique_ptr<ops::Backend> make_test_backend(Precision precision, int threads) {
  return ops::make_cpu_backend(threads, precision);
}

}  // namespace ds4::golden

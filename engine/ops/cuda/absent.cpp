// Stands in for the CUDA back end in builds without it.
#include "engine/base/error.h"
#include "engine/ops/cuda/estimate.h"
#include "engine/ops/ops.h"

namespace ds4::ops {
namespace {

[[noreturn]] void refuse() {
  throw Error(ErrorCode::kMachine, "this build has no CUDA back end",
              "Build with -DDS4_CUDA=ON, or use the device cpu.");
}

}  // namespace

std::unique_ptr<Backend> make_cuda_backend(Precision /*precision*/, Residency /*residency*/) {
  refuse();
}

std::string cuda_device_name() {
  refuse();
}

GpuMemory cuda_memory() {
  refuse();
}

int64_t cuda_free_bytes() {
  return 0;
}

int64_t cuda_used_bytes() {
  return 0;
}

int64_t cuda_kernel_launches() {
  return 0;
}

}  // namespace ds4::ops

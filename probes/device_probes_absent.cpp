// device_probes.h of a build without CUDA.
#include "engine/base/error.h"
#include "probes/device_probes.h"

namespace ds4::probes {
namespace {

[[noreturn]] void no_cuda() {
  throw Error(ErrorCode::kMachine, "this build has no CUDA",
              "Configure with -DDS4_CUDA=ON, or measure the processors.");
}

}  // namespace

DeviceProbes device_probes(const ProbeOptions&) {
  no_cuda();
}

DeviceSpeed measure_device_speed() {
  no_cuda();
}

}  // namespace ds4::probes

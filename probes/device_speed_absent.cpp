// measure_device_speed() of a build without CUDA.
#include "engine/base/error.h"
#include "probes/device_speed.h"

namespace ds4::probes {

DeviceSpeed measure_device_speed() {
  throw Error(ErrorCode::kMachine, "this build has no CUDA",
              "Configure with -DDS4_CUDA=ON, or measure the processors.");
}

}  // namespace ds4::probes

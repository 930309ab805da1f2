// read_device_sentinel() of a build without CUDA.
#include "engine/base/error.h"
#include "probes/sentinel.h"

namespace ds4::probes {

SentinelReading read_device_sentinel() {
  throw Error(ErrorCode::kMachine, "this build has no CUDA",
              "Configure with -DDS4_CUDA=ON, or measure the processors.");
}

}  // namespace ds4::probes

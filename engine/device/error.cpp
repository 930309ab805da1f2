#include "engine/device/error.h"

#include <string>

#include "engine/base/error.h"

namespace ds4::device {

void check(cudaError_t status, const char* call, const char* file, int line) {
  if (status == cudaSuccess) return;
  throw Error(
      ErrorCode::kMachine,
      std::string("CUDA: ") + cudaGetErrorString(status) + " in " + call + " (" + file + ":" +
          std::to_string(line) + ")",
      "nvidia-smi shows whether the GPU is healthy and free; the device cpu works without.");
}

}  // namespace ds4::device

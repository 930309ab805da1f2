// CUDA status codes as ds4::Error. Host code only.
#pragma once

#include <cuda_runtime_api.h>

namespace ds4::device {

/// Throws Error(kMachine) naming `call`, its place and CUDA's words unless `status` is success.
void check(cudaError_t status, const char* call, const char* file, int line);

}  // namespace ds4::device

/// Evaluates a runtime call, or cudaGetLastError() after a launch, and throws when it failed.
#define DS4_CUDA(call) ::ds4::device::check((call), #call, __FILE__, __LINE__)

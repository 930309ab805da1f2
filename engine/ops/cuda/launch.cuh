// How kernels of the stream follow each other: where the GPU can (from sm_90 on), a kernel's blocks
// are brought up while the one before still runs and wait for its results inside.
#pragma once

#include <cuda_runtime.h>

#include <utility>

#include "engine/ops/cuda/kernels.h"

namespace ds4::ops::cuda {

/// To be called by every thread of a kernel before it touches memory that kernels write, by all
/// kernels that start() launches. What precedes it may read parameters, weights, positions of the
/// step, and past L1 what the launch in front has waited for: kernels before that one wrote it.
/// Some block of a kernel must call it in any case, or what comes behind waits for nothing either.
__device__ __forceinline__ void wait_for_inputs() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/// Above 48 KB a kernel must ask for its dynamic shared memory.
template <class... Parameters>
void allow_shared(void (*kernel)(Parameters...), size_t bytes) {
  if (bytes <= size_t{40} << 10) return;
  static_cast<void>(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                         static_cast<int>(bytes)));
}

/// A figure of the GPU, asked for once.
template <cudaDeviceAttr attribute>
int gpu_figure() {
  static const int figure = [] {
    int device = 0;
    int value = 0;
    static_cast<void>(cudaGetDevice(&device));
    static_cast<void>(cudaDeviceGetAttribute(&value, attribute, device));
    return value;
  }();
  return figure;
}
/// Shared memory that a block can have at most.
inline size_t block_shared_bytes() {
  return static_cast<size_t>(gpu_figure<cudaDevAttrMaxSharedMemoryPerBlockOptin>());
}
inline int multiprocessors() {
  return gpu_figure<cudaDevAttrMultiProcessorCount>();
}

/// How a kernel of a stream is launched, with room for one attribute more.
struct LaunchAttributes {
  cudaLaunchAttribute all[2] = {};
  unsigned count = 0;

  explicit LaunchAttributes(const Launch& at) {
    if (at.early) {
      all[count].id = cudaLaunchAttributeProgrammaticStreamSerialization;
      all[count++].val.programmaticStreamSerializationAllowed = 1;
    }
  }
};

/// Launches a kernel behind those before it; cudaGetLastError() tells what went wrong.
template <class... Parameters, class... Arguments>
void start(const Launch& at, void (*kernel)(Parameters...), dim3 grid, unsigned threads,
           size_t shared, Arguments&&... arguments) {
  LaunchAttributes attributes(at);
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = threads;
  config.dynamicSmemBytes = shared;
  config.stream = at.stream;
  config.attrs = attributes.all;
  config.numAttrs = attributes.count;
  kernel_launches.fetch_add(1, std::memory_order_relaxed);
  static_cast<void>(cudaLaunchKernelEx(
      &config, kernel, static_cast<Parameters>(std::forward<Arguments>(arguments))...));
}

/// The blocks of a row of a grid as a cluster.
inline cudaLaunchConfig_t cluster_config(const Launch& at, dim3 grid, unsigned threads,
                                         LaunchAttributes& attributes) {
  cudaLaunchAttribute& cluster = attributes.all[attributes.count++];
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim.x = grid.x;
  cluster.val.clusterDim.y = cluster.val.clusterDim.z = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = threads;
  config.stream = at.stream;
  config.attrs = attributes.all;
  config.numAttrs = attributes.count;
  return config;
}
/// start() of a cluster per row.
template <class... Parameters, class... Arguments>
void start_clusters(const Launch& at, void (*kernel)(Parameters...), dim3 grid, unsigned threads,
                    Arguments&&... arguments) {
  LaunchAttributes attributes(at);
  const cudaLaunchConfig_t config = cluster_config(at, grid, threads, attributes);
  kernel_launches.fetch_add(1, std::memory_order_relaxed);
  static_cast<void>(cudaLaunchKernelEx(
      &config, kernel, static_cast<Parameters>(std::forward<Arguments>(arguments))...));
}

}  // namespace ds4::ops::cuda

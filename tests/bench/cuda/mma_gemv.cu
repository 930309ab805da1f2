// Skinny products on the tensor cores: 16 weight rows by up to 8 activation rows per warp, k split
// over the warps of a block, x read straight from L1/L2 in fragment order. Columns never mix, so a
// row's result does not depend on how many rows share the launch.
#include "mma_policies.cuh"

namespace ds4::bench {
namespace {

constexpr int kTileRows = 16;

// From here on the previous kernel's writes are visible and its readers done; free when repeated.
__device__ __forceinline__ void wait_for_previous_kernel() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

__device__ __forceinline__ void let_next_kernel_start() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// What one warp has in flight: weights and their scales for `ahead` groups.
template <class Policy, int ahead>
struct Step {
  uint4 weights[ahead][Policy::kUnits];
  std::uint32_t row0[ahead], row1[ahead];
};

// Pipelined: two half steps, one loading while the other multiplies; else one full step at a time.
template <class Policy, Format format, bool fragment_order, bool pipelined>
__global__ void __launch_bounds__(kBlockWarps * 32, 2) mma_gemv_kernel(Args a) {
  __shared__ float partial[kBlockWarps][kTileRows][kMaxCols + 1];
  constexpr int kUnits = Policy::kUnits;
  constexpr int kAhead = !pipelined ? Policy::kAhead : Policy::kAhead > 1 ? Policy::kAhead / 2 : 1;
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int g = lane / 4;
  const int t = lane % 4;
  const int tiles_per_block = kBlockWarps / a.k_warps;
  const int tile = blockIdx.x * tiles_per_block + warp / a.k_warps;
  const int groups = a.k / kGroup;
  if (a.early_start) let_next_kernel_start();
  const int job = blockIdx.y;
  const Work work = work_of(a, job);
  float acc[4] = {};

  if (tile * kTileRows < a.n) {
    // Distance of a lane's units: between groups, chunks of a group, the two halves.
    const std::size_t group_bytes = fragment_order ? kUnits * 512 : kUnits * 32;
    const std::size_t chunk_bytes = fragment_order ? 1024 : 64;
    const std::size_t row_bytes = static_cast<std::size_t>(groups) * kUnits * 32;
    const std::size_t half_bytes = fragment_order ? 512 : 8 * row_bytes;
    const std::uint8_t* w = a.w + work.matrix * a.w_stride;
    w += fragment_order ? tile * kTileRows * row_bytes + lane * 16
                        : (tile * kTileRows + g) * row_bytes + t * 16;
    const std::uint8_t* scale = a.scale + work.matrix * a.scale_stride;
    const std::uint32_t* scale_words = reinterpret_cast<const std::uint32_t*>(scale);
    if constexpr (format == Format::kFp8) scale += tile * kTileRows / kGroup * groups;
    scale_words += fragment_order ? static_cast<std::size_t>(tile) * groups * kTileRows + g
                                  : static_cast<std::size_t>(tile * kTileRows + g) * groups;

    // Past the last group: zero weights under the last group's scales, so no branch is needed.
    const auto load = [&](Step<Policy, kAhead>& step, int first) {
#pragma unroll
      for (int i = 0; i < kAhead; ++i) {
        const int group = first + i * a.k_warps;
        const bool inside = group < groups;
        const std::uint8_t* from = w + group * group_bytes;
#pragma unroll
        for (int u = 0; u < kUnits; ++u) {
          step.weights[i][u] = inside ? load_once(from + u / 2 * chunk_bytes + u % 2 * half_bytes)
                                      : uint4{0, 0, 0, 0};
        }
      }
#pragma unroll
      for (int i = 0; i < kAhead; ++i) {
        const int group = min(first + i * a.k_warps, groups - 1);
        if constexpr (format == Format::kFp8) {
          step.row0[i] = __ldg(scale + group);
        } else if constexpr (format == Format::kFp4) {
          const std::uint32_t* from = scale_words + (fragment_order ? group * kTileRows : group);
          step.row0[i] = __ldg(from);
          step.row1[i] = __ldg(from + (fragment_order ? 8 : 8 * groups));
        }
      }
    };
    const int stride = a.k_warps * kAhead;
    int first = warp % a.k_warps;
    Step<Policy, kAhead> even;
    load(even, first);
    if (a.early_start) wait_for_previous_kernel();

    // Lanes beyond the last column read column 0 again: columns never mix, theirs is not stored.
    const auto column = [&](int col) {
      return static_cast<std::size_t>(x_row_of(a, job, col < work.n_cols ? col : 0));
    };
    constexpr int kXGroupBytes = 4 * Policy::kXUnits * 16;
    const char* x = static_cast<const char*>(a.x) + column(g) * groups * kXGroupBytes +
                    t * Policy::kXUnits * 16;
    const float* col0 = nullptr;
    const float* col1 = nullptr;
    if constexpr (Policy::kXScale) {
      col0 = a.x_scale + column(2 * t) * groups;
      col1 = a.x_scale + column(2 * t + 1) * groups;
    }
    const auto multiply = [&](const Step<Policy, kAhead>& step, int from) {
#pragma unroll
      for (int i = 0; i < kAhead; ++i) {
        const int group = min(from + i * a.k_warps, groups - 1);
        uint4 xv[Policy::kXUnits];
        const uint4* at = reinterpret_cast<const uint4*>(x + group * kXGroupBytes);
#pragma unroll
        for (int u = 0; u < Policy::kXUnits; ++u) xv[u] = __ldg(at + u);
        GroupScales s{step.row0[i], step.row1[i], 1.0f, 1.0f};
        if constexpr (Policy::kXScale) {
          s.col0 = __ldg(col0 + group);
          s.col1 = __ldg(col1 + group);
        }
        Policy::accumulate(step.weights[i], xv, s, t, acc);
      }
    };

    if constexpr (pipelined) {
      Step<Policy, kAhead> odd;
#pragma unroll 1
      for (; first < groups; first += 2 * stride) {
        load(odd, first + stride);
        multiply(even, first);
        load(even, first + 2 * stride);
        multiply(odd, first + stride);
      }
    } else {
#pragma unroll 1
      for (; first < groups; first += stride) {
        if (first != warp % a.k_warps) load(even, first);
        multiply(even, first);
      }
    }
  }

  if (a.early_start) wait_for_previous_kernel();  // also warps that had no slice
  partial[warp][g][2 * t] = acc[0];
  partial[warp][g][2 * t + 1] = acc[1];
  partial[warp][g + 8][2 * t] = acc[2];
  partial[warp][g + 8][2 * t + 1] = acc[3];
  __syncthreads();  // the slices of a tile lie in different warps

  const int outputs = tiles_per_block * kTileRows * work.n_cols;
  for (int i = threadIdx.x; i < outputs; i += blockDim.x) {
    const int row_in_tile = i % kTileRows;
    const int tile_in_block = i / kTileRows % tiles_per_block;
    const int col = i / (kTileRows * tiles_per_block);
    const int row = (blockIdx.x * tiles_per_block + tile_in_block) * kTileRows + row_in_tile;
    if (row >= a.n) continue;
    float sum = 0.0f;
    for (int slice = 0; slice < a.k_warps; ++slice) {
      sum += partial[tile_in_block * a.k_warps + slice][row_in_tile][col];
    }
    a.out[static_cast<std::size_t>(out_row_of(a, job, col)) * a.n + row] = sum;
  }
}

template <class Policy, Format format>
void launch(const Variant& variant, const Args& args, cudaStream_t stream) {
  const int tiles = args.n / kTileRows;
  const int tiles_per_block = kBlockWarps / args.k_warps;
  const dim3 grid((tiles + tiles_per_block - 1) / tiles_per_block, args.n_jobs);
  const bool native = variant.layout == Layout::kNative;
  const auto kernel = native ? (variant.pipelined ? mma_gemv_kernel<Policy, format, false, true>
                                                  : mma_gemv_kernel<Policy, format, false, false>)
                             : (variant.pipelined ? mma_gemv_kernel<Policy, format, true, true>
                                                  : mma_gemv_kernel<Policy, format, true, false>);
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = dim3(kBlockWarps * 32);
  config.stream = stream;
  cudaLaunchAttribute early{};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  config.attrs = &early;
  config.numAttrs = args.early_start ? 1 : 0;
  // The caller reads the error with cudaGetLastError, as after any launch.
  static_cast<void>(cudaLaunchKernelEx(&config, kernel, args));
}

}  // namespace

void launch_mma(Format format, bool quantised_x, const Variant& variant, const Args& args,
                cudaStream_t stream) {
  using cuda::Feed;
  if (format == Format::kBf16) {
    launch<EnginePolicy<cuda::Bf16Feed, 1>, Format::kBf16>(variant, args, stream);
  } else if (format == Format::kFp4) {
    // The word order exists only in fragment order, the native one only with the scale put in
    // first.
    if (variant.design == Design::kPrescale) {
      launch<Fp4PrescalePolicy, Format::kFp4>(variant, args, stream);
    } else if (variant.design == Design::kE4m3) {
      launch<Fp4WordsPolicy<true>, Format::kFp4>(variant, args, stream);
    } else if (variant.layout == Layout::kPlanes) {
      launch<EnginePolicy<cuda::Fp4PlanesFeed, 4>, Format::kFp4>(variant, args, stream);
    } else {
      launch<Fp4WordsPolicy<false>, Format::kFp4>(variant, args, stream);
    }
  } else if (!quantised_x) {
    if (variant.design == Design::kBits) {
      launch<EnginePolicy<cuda::Fp8Feed<Feed::kFp8Wide>, 2>, Format::kFp8>(variant, args, stream);
    } else {
      launch<Fp8CvtPolicy<true>, Format::kFp8>(variant, args, stream);
    }
  } else if (variant.design == Design::kBits) {
    launch<EnginePolicy<cuda::Fp8Feed<Feed::kFp8F16>, 2>, Format::kFp8>(variant, args, stream);
  } else if (variant.design == Design::kCvt) {
    launch<Fp8CvtPolicy<false>, Format::kFp8>(variant, args, stream);
  } else {
    launch<EnginePolicy<cuda::Fp8Feed<Feed::kFp8E4m3>, 2>, Format::kFp8>(variant, args, stream);
  }
}

}  // namespace ds4::bench

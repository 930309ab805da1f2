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

template <class Policy, Format format, bool fragment_order>
__global__ void __launch_bounds__(kBlockWarps * 32, 2) mma_gemv_kernel(Args a) {
  __shared__ float partial[kBlockWarps][kTileRows][kMaxCols + 1];
  constexpr int kUnits = Policy::kUnits;
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
    const std::uint8_t* w = a.w + work.matrix * a.w_stride;
    // Distance of a lane's units: between groups, between chunks of a group, between the two
    // halves.
    const std::size_t group_bytes = fragment_order ? kUnits * 512 : kUnits * 32;
    const std::size_t chunk_bytes = fragment_order ? 1024 : 64;
    const std::size_t row_bytes = static_cast<std::size_t>(groups) * kUnits * 32;
    const std::size_t half_bytes = fragment_order ? 512 : 8 * row_bytes;
    w += fragment_order ? tile * kTileRows * row_bytes + lane * 16
                        : (tile * kTileRows + g) * row_bytes + t * 16;
    const std::uint8_t* scale = a.scale + work.matrix * a.scale_stride;
    const bool has_x = g < work.n_cols;
    const char* x = static_cast<const char*>(a.x);
    if (has_x)
      x += (static_cast<std::size_t>(x_row_of(a, job, g)) * groups * 4 + t) * Policy::kXUnits * 16;
    const bool has_col0 = 2 * t < work.n_cols;
    const bool has_col1 = 2 * t + 1 < work.n_cols;
    const float* col0 = nullptr;
    const float* col1 = nullptr;
    if (a.x_scale != nullptr) {
      if (has_col0) col0 = a.x_scale + static_cast<std::size_t>(x_row_of(a, job, 2 * t)) * groups;
      if (has_col1)
        col1 = a.x_scale + static_cast<std::size_t>(x_row_of(a, job, 2 * t + 1)) * groups;
    }

#pragma unroll 1
    for (int first = warp % a.k_warps; first < groups; first += a.k_warps * Policy::kAhead) {
      uint4 weights[Policy::kAhead][kUnits];
#pragma unroll
      for (int ahead = 0; ahead < Policy::kAhead; ++ahead) {
        const int group = first + ahead * a.k_warps;
        if (group < groups) {
#pragma unroll
          for (int u = 0; u < kUnits; ++u) {
            weights[ahead][u] =
                load_once(w + group * group_bytes + (u / 2) * chunk_bytes + (u % 2) * half_bytes);
          }
        }
      }
      if (a.early_start && first == warp % a.k_warps) wait_for_previous_kernel();
#pragma unroll
      for (int ahead = 0; ahead < Policy::kAhead; ++ahead) {
        const int group = first + ahead * a.k_warps;
        if (group < groups) {
          uint4 xv[Policy::kXUnits];
#pragma unroll
          for (int i = 0; i < Policy::kXUnits; ++i) {
            xv[i] = has_x
                        ? __ldg(reinterpret_cast<const uint4*>(x + static_cast<std::size_t>(group) *
                                                                       4 * Policy::kXUnits * 16) +
                                i)
                        : uint4{0, 0, 0, 0};
          }
          GroupScales s{0, 0, 1.0f, 1.0f};
          if constexpr (format == Format::kFp8) {
            s.row0 = __ldg(scale + (tile * kTileRows / kGroup) * groups + group);
          } else if constexpr (format == Format::kFp4) {
            const std::uint32_t* words = reinterpret_cast<const std::uint32_t*>(scale);
            if constexpr (fragment_order) {
              words += (static_cast<std::size_t>(tile) * groups + group) * kTileRows + g;
              s.row0 = __ldg(words);
              s.row1 = __ldg(words + 8);
            } else {
              words += static_cast<std::size_t>(tile * kTileRows + g) * groups + group;
              s.row0 = __ldg(words);
              s.row1 = __ldg(words + 8 * groups);
            }
          }
          if (col0 != nullptr) s.col0 = __ldg(col0 + group);
          if (col1 != nullptr) s.col1 = __ldg(col1 + group);
          Policy::accumulate(weights[ahead], xv, s, t, acc);
        }
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
  const auto kernel = variant.layout == Layout::kNative ? mma_gemv_kernel<Policy, format, false>
                                                        : mma_gemv_kernel<Policy, format, true>;
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
  if (format == Format::kBf16) {
    launch<Bf16Policy, Format::kBf16>(variant, args, stream);
  } else if (format == Format::kFp4) {
    // The word order exists only in fragment order, the native one only with the scale put in
    // first.
    if (variant.design == Design::kPrescale) {
      launch<Fp4PrescalePolicy, Format::kFp4>(variant, args, stream);
    } else if (variant.design == Design::kE4m3) {
      launch<Fp4WordsPolicy<true>, Format::kFp4>(variant, args, stream);
    } else {
      launch<Fp4WordsPolicy<false>, Format::kFp4>(variant, args, stream);
    }
  } else if (!quantised_x) {
    if (variant.design == Design::kBits) {
      launch<Fp8Policy<Fp8Feed::kBitsBf16>, Format::kFp8>(variant, args, stream);
    } else {
      launch<Fp8Policy<Fp8Feed::kCvtBf16>, Format::kFp8>(variant, args, stream);
    }
  } else if (variant.design == Design::kBits) {
    launch<Fp8Policy<Fp8Feed::kBitsF16>, Format::kFp8>(variant, args, stream);
  } else if (variant.design == Design::kCvt) {
    launch<Fp8Policy<Fp8Feed::kCvtF16>, Format::kFp8>(variant, args, stream);
  } else {
    launch<Fp8Policy<Fp8Feed::kE4m3>, Format::kFp8>(variant, args, stream);
  }
}

}  // namespace ds4::bench

// Skinny products without tensor cores: a warp owns a few weight rows, lanes stride over k in
// 16-byte loads, weights become floats and meet float FMAs. x is in natural order.
#include "convert.cuh"

namespace ds4::bench {
namespace {

template <Format format>
struct Shape {
  static constexpr int kPerLoad = format == Format::kFp4 ? 32 : format == Format::kFp8 ? 16 : 8;
};

// Eight weights of one row starting at element 8 * sub of a lane's 16 bytes.
template <Format format>
__device__ __forceinline__ void eight_floats(const uint4& v, int sub, float (&f)[8]) {
  const std::uint32_t words[4] = {v.x, v.y, v.z, v.w};
  if constexpr (format == Format::kFp4) {
    const std::uint32_t w = words[sub];
    const float2 p0 = f16_floats(fp4_bits_f16<0>(w));
    const float2 p1 = f16_floats(fp4_bits_f16<1>(w));
    const float2 p2 = f16_floats(fp4_bits_f16<2>(w));
    const float2 p3 = f16_floats(fp4_bits_f16<3>(w));
    f[0] = p0.x, f[1] = p1.x, f[2] = p2.x, f[3] = p3.x;
    f[4] = p0.y, f[5] = p1.y, f[6] = p2.y, f[7] = p3.y;
  } else if constexpr (format == Format::kFp8) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const Pair p = fp8_cvt_f16(words[2 * sub + i]);
      const float2 a = f16_floats(p.a);
      const float2 b = f16_floats(p.b);
      f[4 * i] = a.x, f[4 * i + 1] = a.y, f[4 * i + 2] = b.x, f[4 * i + 3] = b.y;
    }
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float2 a = bf16_floats(words[i]);
      f[2 * i] = a.x, f[2 * i + 1] = a.y;
    }
  }
}

template <Format format, bool quantised_x, int cols, int rows>
__global__ void __launch_bounds__(kBlockWarps * 32) fma_gemv_kernel(Args a) {
  constexpr int kPerLoad = Shape<format>::kPerLoad;
  const int lane = threadIdx.x % 32;
  const int row0 = (blockIdx.x * kBlockWarps + threadIdx.x / 32) * rows;
  if (row0 >= a.n) return;
  const int job = blockIdx.y;
  const Work work = work_of(a, job);
  const int groups = a.k / kGroup;
  const std::size_t row_bytes = static_cast<std::size_t>(a.k) / kPerLoad * 16;
  const std::uint8_t* w = a.w + work.matrix * a.w_stride + row0 * row_bytes;
  const std::uint8_t* scale = a.scale + work.matrix * a.scale_stride;
  const std::uint16_t* x[cols];
  int x_row[cols];
#pragma unroll
  for (int c = 0; c < cols; ++c) {
    x_row[c] = c < work.n_cols ? x_row_of(a, job, c) : 0;
    x[c] = static_cast<const std::uint16_t*>(a.x) + static_cast<std::size_t>(x_row[c]) * a.k;
  }
  float acc[rows][cols] = {};

#pragma unroll 2
  for (int k = lane * kPerLoad; k < a.k; k += 32 * kPerLoad) {
    uint4 weights[rows];
#pragma unroll
    for (int r = 0; r < rows; ++r) weights[r] = load_once(w + r * row_bytes + k / kPerLoad * 16);
    float row_scale[rows];
#pragma unroll
    for (int r = 0; r < rows; ++r) {
      if constexpr (format == Format::kFp8) {
        row_scale[r] = e8m0_float(__ldg(scale + (row0 + r) / kGroup * groups + k / kGroup));
      } else if constexpr (format == Format::kFp4) {
        row_scale[r] =
            e8m0_float(__ldg(scale + static_cast<std::size_t>(row0 + r) * groups * 4 + k / 32)) *
            kFp4F16Bias;
      } else {
        row_scale[r] = 1.0f;
      }
    }
    float dot[rows][cols] = {};
#pragma unroll
    for (int sub = 0; sub < kPerLoad / 8; ++sub) {
      float f[rows][8];
#pragma unroll
      for (int r = 0; r < rows; ++r) eight_floats<format>(weights[r], sub, f[r]);
#pragma unroll
      for (int c = 0; c < cols; ++c) {
        if (c >= work.n_cols) continue;
        const uint4 xv = __ldg(reinterpret_cast<const uint4*>(x[c] + k) + sub);
        const std::uint32_t words[4] = {xv.x, xv.y, xv.z, xv.w};
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const float2 p = quantised_x ? f16_floats(words[i]) : bf16_floats(words[i]);
#pragma unroll
          for (int r = 0; r < rows; ++r) {
            dot[r][c] = fmaf(f[r][2 * i], p.x, dot[r][c]);
            dot[r][c] = fmaf(f[r][2 * i + 1], p.y, dot[r][c]);
          }
        }
      }
    }
#pragma unroll
    for (int c = 0; c < cols; ++c) {
      if (c >= work.n_cols) continue;
      float col_scale = 1.0f;
      if constexpr (quantised_x) {
        col_scale = __ldg(a.x_scale + static_cast<std::size_t>(x_row[c]) * groups + k / kGroup);
      }
#pragma unroll
      for (int r = 0; r < rows; ++r) acc[r][c] += dot[r][c] * (row_scale[r] * col_scale);
    }
  }

#pragma unroll
  for (int c = 0; c < cols; ++c) {
    if (c >= work.n_cols) continue;
    const int out_row = out_row_of(a, job, c);
#pragma unroll
    for (int r = 0; r < rows; ++r) {
      float sum = acc[r][c];
#pragma unroll
      for (int d = 16; d > 0; d /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, d);
      if (lane == 0) a.out[static_cast<std::size_t>(out_row) * a.n + row0 + r] = sum;
    }
  }
}

template <Format format, bool quantised_x, int cols>
void launch(const Args& args, cudaStream_t stream) {
  constexpr int kRows = format == Format::kFp4 || cols > 4 ? 2 : 4;
  const int per_block = kBlockWarps * kRows;
  const dim3 grid((args.n + per_block - 1) / per_block, args.n_jobs);
  fma_gemv_kernel<format, quantised_x, cols, kRows><<<grid, kBlockWarps * 32, 0, stream>>>(args);
}

template <Format format, bool quantised_x>
void dispatch(int max_cols, const Args& args, cudaStream_t stream) {
  switch (max_cols) {
    case 1:
      return launch<format, quantised_x, 1>(args, stream);
    case 2:
      return launch<format, quantised_x, 2>(args, stream);
    case 3:
    case 4:
      return launch<format, quantised_x, 4>(args, stream);
    default:
      return launch<format, quantised_x, 8>(args, stream);
  }
}

}  // namespace

void launch_fma(Format format, bool quantised_x, int max_cols, const Args& args,
                cudaStream_t stream) {
  if (format == Format::kFp4) return dispatch<Format::kFp4, true>(max_cols, args, stream);
  if (format == Format::kBf16) return dispatch<Format::kBf16, false>(max_cols, args, stream);
  if (quantised_x) return dispatch<Format::kFp8, true>(max_cols, args, stream);
  dispatch<Format::kFp8, false>(max_cols, args, stream);
}

}  // namespace ds4::bench

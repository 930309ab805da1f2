#include "probes/device/tensor.h"

#include "engine/device/error.h"
#include "engine/device/memory.h"
#include "probes/device/tensor_groups.cuh"

namespace ds4::probes {
namespace {

constexpr int kThreads = 256;
constexpr int kBlocksPerProcessor = 4;
constexpr int kWarp = 32;
constexpr int kSide = 4;  // a warp multiplies as many fragments of A as of B, each with each
constexpr int kTurns = 1024;

// Compiled where the instruction exists: sm_89 for FP8, the architecture-specific sm_120a family
// for FP4.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
#define DS4_HAS_FP8 1
#endif
#if defined(__CUDA_ARCH_FEAT_SM120_ALL) || defined(__CUDA_ARCH_FEAT_SM121_ALL) || \
    (defined(__CUDA_ARCH_FAMILY_SPECIFIC__) && __CUDA_ARCH_FAMILY_SPECIFIC__ >= 1200)
#define DS4_HAS_FP4 1
#endif

template <TensorType type>
constexpr int kDepth = type == TensorType::kBf16  ? 16
                       : type == TensorType::kFp8 ? 32
                                                  : 64;

// Bits by which a word of operands is turned to become others that are as sound.
template <TensorType type>
constexpr int kStep = type == TensorType::kBf16  ? 16
                      : type == TensorType::kFp8 ? 8
                                                 : 4;

// Times that a turn multiplies the same operands.
template <TensorType type>
constexpr int kRepeats = type == TensorType::kFp8 ? 1 : 4;

template <TensorType type>
__device__ void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  if constexpr (type == TensorType::kBf16) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  } else if constexpr (type == TensorType::kFp8) {
#ifdef DS4_HAS_FP8
    asm volatile(
        "mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
  } else {
#ifdef DS4_HAS_FP4
    constexpr uint32_t kOnes = 0x7F7F7F7Fu;  // block scales of 1
    asm volatile(
        "mma.sync.aligned.kind::mxf4.block_scale.scale_vec::2X.m16n8k64.row.col.f32.e2m1.e2m1.f32."
        "ue8m0 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3}, {%10}, {0, 0}, {%10}, {0, 0};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "r"(kOnes));
#endif
  }
}

template <TensorType type>
__global__ void __launch_bounds__(kThreads) tensor_kernel(const uint4* operands, float* sums) {
  const int thread = blockIdx.x * kThreads + threadIdx.x;
  constexpr int kCount = static_cast<int>(kTensorOperandBytes / 16);
  uint32_t a[kSide][4], b[kSide][2];
#pragma unroll
  for (int i = 0; i < kSide; ++i) {
    const uint4 x = operands[(thread * 7 + i * 1031) % kCount];
    const uint4 y = operands[(thread * 5 + i * 2053 + 17) % kCount];
    a[i][0] = x.x, a[i][1] = x.y, a[i][2] = x.z, a[i][3] = x.w;
    b[i][0] = y.x, b[i][1] = y.y;
  }
  float tiles[kSide * kSide][4] = {};
  for (int turn = 0; turn < kTurns; ++turn) {
#pragma unroll
    for (int t = 0; t < kSide * kSide * kRepeats<type>; ++t) {
      multiply<type>(tiles[t % (kSide * kSide)], a[t / kSide % kSide], b[t % kSide]);
    }
    // Other operands in each turn, and FP8 has no pair of them twice in one: where it is made of
    // conversions, products of 16 bits and additions, the compiler would else keep the products
    // and only add.
#pragma unroll
    for (auto& pair : b) {
      pair[0] = __funnelshift_l(pair[0], pair[0], kStep<type>);
      pair[1] = __funnelshift_l(pair[1], pair[1], kStep<type>);
    }
  }
  float sum = 0;
#pragma unroll
  for (const auto& tile : tiles) sum += tile[0] + tile[1] + tile[2] + tile[3];
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    sum += __shfl_down_sync(0xFFFFFFFFu, sum, offset);
  }
  if (threadIdx.x % kWarp == 0) sums[thread / kWarp] = sum;
}

__host__ __device__ constexpr int bit_of(TensorWay way) {
  return 1 << (2 * static_cast<int>(way.type) + static_cast<int>(way.by_groups));
}

__global__ void supported_kernel(int* ways) {
  *ways = bit_of({TensorType::kBf16, false});
#ifdef DS4_HAS_FP8
  *ways |= bit_of({TensorType::kFp8, false});
#endif
#ifdef DS4_HAS_FP4
  *ways |= bit_of({TensorType::kFp4, false});
#endif
#ifdef DS4_HAS_GROUPS
  *ways |= bit_of({TensorType::kBf16, true}) | bit_of({TensorType::kFp8, true});
#endif
}

template <TensorType type>
double multiply_fragments(int processors, const void* operands, float* sums, cudaStream_t stream) {
  const int blocks = processors * kBlocksPerProcessor;
  tensor_kernel<type><<<blocks, kThreads, 0, stream>>>(static_cast<const uint4*>(operands), sums);
  DS4_CUDA(cudaGetLastError());
  return 2.0 * 16 * 8 * kDepth<type> * kSide * kSide * kRepeats<type> * kTurns *
         (kThreads / kWarp) * blocks;
}

}  // namespace

const char* tensor_name(TensorType type) {
  switch (type) {
    case TensorType::kBf16:
      return "BF16";
    case TensorType::kFp8:
      return "FP8 E4M3";
    case TensorType::kFp4:
      break;
  }
  return "MXFP4";
}

uint32_t tensor_ones(TensorType type) {
  switch (type) {
    case TensorType::kBf16:
      return 0x3F803F80u;
    case TensorType::kFp8:
      return 0x38383838u;
    case TensorType::kFp4:
      break;
  }
  return 0x22222222u;
}

double most_tensor_rate(TensorType type, int capability, int processors, double clock_hz) {
  // Operations per clock and multiprocessor in BF16, sums in f32, without sparsity (NVIDIA's
  // architecture papers of A100, H100, and of GeForce and RTX PRO cards).
  double bf16 = 0;
  switch (capability) {
    case 80:
      bf16 = 2048;
      break;
    case 90:
      bf16 = 4096;
      break;
    case 86:
    case 89:
    case 120:
    case 121:
      bf16 = 1024;
      break;
    default:
      return 0;
  }
  const double faster = type == TensorType::kBf16 ? 1 : type == TensorType::kFp8 ? 2 : 4;
  return bf16 * faster * processors * clock_hz;
}

bool tensor_supported(TensorWay way) {
  const device::Memory bits(16);
  int ways = 0;
  supported_kernel<<<1, 1>>>(reinterpret_cast<int*>(bits.data()));
  DS4_CUDA(cudaGetLastError());
  DS4_CUDA(cudaMemcpy(&ways, bits.data(), sizeof ways, cudaMemcpyDeviceToHost));
  return (ways & bit_of(way)) != 0;
}

int tensor_sums(TensorWay way, int processors) {
  return processors * kThreads / kWarp * (way.by_groups ? 1 : kBlocksPerProcessor);
}

double multiply_tiles(TensorWay way, int processors, const void* operands, float* sums,
                      cudaStream_t stream) {
  static_assert(kThreads == groups::kThreads);
  switch (way.type) {
    case TensorType::kBf16:
      return way.by_groups
                 ? groups::multiply<groups::Bf16>(processors, operands, sums, stream)
                 : multiply_fragments<TensorType::kBf16>(processors, operands, sums, stream);
    case TensorType::kFp8:
      return way.by_groups
                 ? groups::multiply<groups::E4m3>(processors, operands, sums, stream)
                 : multiply_fragments<TensorType::kFp8>(processors, operands, sums, stream);
    case TensorType::kFp4:
      break;
  }
  return multiply_fragments<TensorType::kFp4>(processors, operands, sums, stream);
}

}  // namespace ds4::probes

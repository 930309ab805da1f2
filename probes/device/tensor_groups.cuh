// Products of warp groups (Hopper's wgmma): two groups of four warps a multiprocessor, each 64 rows
// by 256 columns, operands in shared memory. What a product of large matrices reaches at most.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "engine/device/error.h"
#include "probes/device/tensor.h"

// Code for wgmma exists in builds for sm_90a alone.
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define DS4_HAS_GROUPS 1
#endif

namespace ds4::probes::groups {

inline constexpr int kThreads = 256;
inline constexpr int kRows = 64, kColumns = 256;
inline constexpr int kRowBytes = 128;  // of a piece of operands: what a swizzled row holds
inline constexpr int kPieces = 2;      // of each operand, one behind the other
inline constexpr int kSteps = 4;       // products of 32 bytes of each row that a piece has
inline constexpr int kPieceA = kRows * kRowBytes, kPieceB = kColumns * kRowBytes;
inline constexpr int kGroups = kThreads / 128;
inline constexpr int kShared = kPieces * (kGroups * kPieceA + kPieceB);
// Sums are taken out of the accumulators before they are large: those of FP8 keep 13 bits or so.
inline constexpr int kTurns = 32, kSections = 32;

struct Bf16 {
  static constexpr int kDepth = 16;
};
struct E4m3 {
  static constexpr int kDepth = 32;
};

/// Rows of 128 bytes side by side from a multiple of 1,024 bytes on, 16-byte chunks swizzled.
__device__ __forceinline__ uint64_t describe(const void* shared) {
  const uint64_t at = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  return (at & 0x3ffff) >> 4 | uint64_t{1} << 16 | uint64_t{64} << 32 | uint64_t{1} << 62;
}

#define DS4_D4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define DS4_D16(i) DS4_D4(i), DS4_D4(i + 4), DS4_D4(i + 8), DS4_D4(i + 12)
#define DS4_ALL_D                                                                \
  "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"                       \
  "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"             \
  "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"             \
  "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63,"             \
  "%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,"             \
  "%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95,"             \
  "%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111," \
  "%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
#define DS4_GROUP_PRODUCT(shape, rest)                                                          \
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %130, 0;\nwgmma.mma_async.sync.aligned." shape \
               " {" DS4_ALL_D "}, %128, %129, p, " rest ";\n}\n"                                \
               : DS4_D16(0), DS4_D16(16), DS4_D16(32), DS4_D16(48), DS4_D16(64), DS4_D16(80),   \
                 DS4_D16(96), DS4_D16(112)                                                      \
               : "l"(a), "l"(b), "r"(adds))

/// d (+)= a b, 64 x 256, over 32 bytes of each row.
template <class Type>
__device__ __forceinline__ void product([[maybe_unused]] float (&d)[128],
                                        [[maybe_unused]] uint64_t a, [[maybe_unused]] uint64_t b,
                                        [[maybe_unused]] int adds) {
#ifdef DS4_HAS_GROUPS
  if constexpr (Type::kDepth == 16) {
    DS4_GROUP_PRODUCT("m64n256k16.f32.bf16.bf16", "1, 1, 0, 0");
  } else {
    DS4_GROUP_PRODUCT("m64n256k32.f32.e4m3.e4m3", "1, 1");
  }
#endif
}
#undef DS4_GROUP_PRODUCT
#undef DS4_ALL_D
#undef DS4_D16
#undef DS4_D4

template <class Type>
__global__ void __launch_bounds__(kThreads, 1)
    group_kernel([[maybe_unused]] const uint4* operands, [[maybe_unused]] int n_operands,
                 [[maybe_unused]] float* sums) {
#ifdef DS4_HAS_GROUPS
  extern __shared__ __align__(1024) uint8_t shared[];
  auto* words = reinterpret_cast<uint4*>(shared);
  for (int i = threadIdx.x; i < kShared / 16; i += kThreads) {
    words[i] = operands[(blockIdx.x * 4099 + i) % n_operands];
  }
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  __syncthreads();
  const int group = threadIdx.x / 128;
  const uint8_t* of_b = shared + kGroups * kPieces * kPieceA;
  float d[128];
#pragma unroll
  for (int i = 0; i < 128; ++i) d[i] = 0;
  float sum = 0;
  for (int section = 0; section < kSections; ++section) {
    for (int turn = 0; turn < kTurns; ++turn) {
      asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
      // Not unrolled: a product takes hundreds of clocks, and the compiler minutes for each one's
      // 128 registers.
#pragma unroll 1
      for (int piece = 0; piece < kPieces; ++piece) {
        const uint64_t a = describe(shared + (group * kPieces + piece) * kPieceA);
        const uint64_t b = describe(of_b + piece * kPieceB);
#pragma unroll 1
        for (int step = 0; step < kSteps; ++step) {  // the next 32 bytes: 2 units of 16
          product<Type>(d, a + 2 * step, b + 2 * step, turn + piece + step > 0);
        }
      }
      asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
      asm volatile("wgmma.wait_group.sync.aligned 1;" ::: "memory");
    }
    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
#pragma unroll
    for (int i = 0; i < 128; ++i) {
      asm volatile("" : "+f"(d[i])::"memory");
      sum += d[i];
    }
  }
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_down_sync(0xFFFFFFFFu, sum, offset);
  if (threadIdx.x % 32 == 0) sums[(blockIdx.x * kThreads + threadIdx.x) / 32] = sum;
#endif
}

/// As multiply_tiles() of tensor.h; a block on each multiprocessor.
template <class Type>
double multiply(int processors, const void* operands, float* sums, cudaStream_t stream) {
  const auto kernel = group_kernel<Type>;
  DS4_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kShared));
  kernel<<<processors, kThreads, kShared, stream>>>(
      static_cast<const uint4*>(operands), static_cast<int>(kTensorOperandBytes / 16), sums);
  DS4_CUDA(cudaGetLastError());
  return 2.0 * kRows * kColumns * Type::kDepth * kSteps * kPieces * kTurns * kSections * kGroups *
         processors;
}

}  // namespace ds4::probes::groups

// Tensor-core products of a warp group (four warps, Hopper alone) as inline PTX: 64 rows from
// registers by 32 or 64 columns from shared memory, under way while the warps do other things.
// The same sums to the bit as mma.sync over the same 16 k.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace ds4::ops::cuda {

/// Orders registers that the warps wrote before the next product that takes them.
__device__ __forceinline__ void begin_products() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}
__device__ __forceinline__ void end_products() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#endif
}
/// Until all products are done; `d` is what they write.
template <int kTiles>
__device__ __forceinline__ void wait_products(float (&d)[kTiles][4]) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
#endif
#pragma unroll
  for (int j = 0; j < kTiles; ++j) {
    asm volatile("" : "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3])::"memory");
  }
}
/// What copies put into shared memory becomes visible to products behind the next barrier.
__device__ __forceinline__ void publish_copies() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

/// A block of columns in shared memory: rows of 64 k (128 bytes) side by side from a multiple of
/// 1,024 bytes on, the eight 16-byte chunks of row r at place chunk ^ (r % 8).
__device__ __forceinline__ uint64_t describe_columns(const void* shared) {
  const uint64_t at = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  return (at & 0x3ffff) >> 4 | uint64_t{1} << 16 | uint64_t{64} << 32 | uint64_t{1} << 62;
}
/// The next 16 k of it.
inline constexpr uint64_t kNext16 = 2;

#define DS4_FOUR(d, j) "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3])
#define DS4_PRODUCT_64(type)                                                                     \
  asm volatile(                                                                                  \
      "{\n.reg .pred p;\nsetp.ne.b32 p, %37, 0;\n"                                               \
      "wgmma.mma_async.sync.aligned.m64n64k16.f32." type "." type                                \
      " {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23," \
      "%24,%25,%26,%27,%28,%29,%30,%31}, {%32,%33,%34,%35}, %36, p, 1, 1, 0;\n}\n"               \
      : DS4_FOUR(d, 0), DS4_FOUR(d, 1), DS4_FOUR(d, 2), DS4_FOUR(d, 3), DS4_FOUR(d, 4),          \
        DS4_FOUR(d, 5), DS4_FOUR(d, 6), DS4_FOUR(d, 7)                                           \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(columns), "r"(adds))
#define DS4_PRODUCT_32(type)                                                          \
  asm volatile(                                                                       \
      "{\n.reg .pred p;\nsetp.ne.b32 p, %21, 0;\n"                                    \
      "wgmma.mma_async.sync.aligned.m64n32k16.f32." type "." type                     \
      " {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15}, {%16,%17,%18,%19}, " \
      "%20, p, 1, 1, 0;\n}\n"                                                         \
      : DS4_FOUR(d, 0), DS4_FOUR(d, 1), DS4_FOUR(d, 2), DS4_FOUR(d, 3)                \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(columns), "r"(adds))

/// d[64 x 8 kTiles] (+)= a[64 x 16] times 16 k of the columns: each warp has 16 rows, in fragments
/// like those of mma_f16(); d[j] is its result for columns 8 j ..
template <bool bf16, int kTiles>
__device__ __forceinline__ void group_product(float (&d)[kTiles][4], const uint32_t (&a)[4],
                                              uint64_t columns, int adds) {
  static_assert(kTiles == 4 || kTiles == 8);
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  if constexpr (kTiles == 8) {
    if constexpr (bf16) {
      DS4_PRODUCT_64("bf16");
    } else {
      DS4_PRODUCT_64("f16");
    }
  } else {
    if constexpr (bf16) {
      DS4_PRODUCT_32("bf16");
    } else {
      DS4_PRODUCT_32("f16");
    }
  }
#else
  __trap();
#endif
}
#undef DS4_PRODUCT_64
#undef DS4_PRODUCT_32
#undef DS4_FOUR

}  // namespace ds4::ops::cuda

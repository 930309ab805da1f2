// Vector helpers shared by the CPU kernels, compiled once per instruction set: loads with ragged
// ends, the BF16 and E4M3 rounding points, decoding of stored formats.
// Include guard of Highway's kind: the file is included again for every target.
#if defined(DS4_ENGINE_OPS_CPU_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DS4_ENGINE_OPS_CPU_SIMD_INL_H_
#undef DS4_ENGINE_OPS_CPU_SIMD_INL_H_
#else
#define DS4_ENGINE_OPS_CPU_SIMD_INL_H_
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "hwy/highway.h"

// No kernel is built for Highway's plain-scalar target, which lacks half floats.
#if HWY_TARGET != HWY_SCALAR

HWY_BEFORE_NAMESPACE();
namespace ds4::ops::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, 16>;
using VF = hn::Vec<DF>;
using DU = hn::RebindToUnsigned<DF>;
inline constexpr size_t kLanes = HWY_MAX_BYTES >= 64 ? 16 : HWY_MAX_BYTES / sizeof(float);

HWY_INLINE VF load(const float* p, size_t left) {
  const DF d;
  return left >= kLanes ? hn::LoadU(d, p) : hn::MaskedLoad(hn::FirstN(d, left), d, p);
}

HWY_INLINE void store(VF v, float* p, size_t left) {
  const DF d;
  if (left >= kLanes) {
    hn::StoreU(v, d, p);
  } else {
    hn::BlendedStore(v, hn::FirstN(d, left), d, p);
  }
}

/// bf(v) when `round`, else v.
HWY_INLINE VF bf(VF v, bool round) {
  if (!round) return v;
  const DF d;
  const DU du;
  const auto bits = hn::BitCast(du, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
  const auto up = hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7FFF)));
  return hn::BitCast(d, hn::And(up, hn::Set(du, 0xFFFF0000u)));
}

/// Nearest E4M3 value (ties to even) of v in [-448, 448]; keeps the sign of zero.
HWY_INLINE VF round_e4m3(VF v) {
  const DF d;
  const DU du;
  // Adding 1.5 * 2^(e+20) puts the rounding of float addition at 2^(e-3), the step of E4M3 in the
  // binade e; below 2^-6 the step stays 2^-9.
  const auto exponent = hn::And(hn::ShiftRight<23>(hn::BitCast(du, v)), hn::Set(du, 255));
  const auto binade = hn::Max(exponent, hn::Set(du, 127 - 6));
  const auto magic_bits =
      hn::Or(hn::ShiftLeft<23>(hn::Add(binade, hn::Set(du, 20))), hn::Set(du, 0x400000));
  const auto magic = hn::BitCast(d, magic_bits);
  return hn::CopySign(hn::Sub(hn::Add(v, magic), magic), v);
}

/// Nearest E2M1 value (ties to even) of v in [-6, 6]; keeps the sign of zero.
HWY_INLINE VF round_e2m1(VF v) {
  const DF d;
  const DU du;
  const auto exponent = hn::And(hn::ShiftRight<23>(hn::BitCast(du, v)), hn::Set(du, 255));
  const auto binade = hn::Max(exponent, hn::Set(du, 127));
  const auto magic_bits =
      hn::Or(hn::ShiftLeft<23>(hn::Add(binade, hn::Set(du, 22))), hn::Set(du, 0x400000));
  const auto magic = hn::BitCast(d, magic_bits);
  return hn::CopySign(hn::Sub(hn::Add(v, magic), magic), v);
}

// An E4M3 code placed in the bits of a float is the value times 2^-120, an E2M1 code placed in
// those of a half float the value times 2^-14, subnormals included; one multiplication, joined with
// the block's scale, completes the decoding. (E4M3 subnormals are float subnormals for a moment,
// which some processors multiply slowly; of trained weights they are about one in ten thousand. The
// two NaN codes would come out as +-480: loading refuses weights that hold them, encode_row()
// writes none for finite rows.)
inline constexpr float kE4m3Factor = 0x1p120f;
inline constexpr float kE2m1Factor = 16384.0f;

/// kLanes E4M3 codes as floats times 1 / kE4m3Factor.
HWY_INLINE VF decode_e4m3(const uint8_t* codes) {
  const DF d;
  const hn::RebindToSigned<DF> di;
  const hn::Rebind<int8_t, DF> d8;
  // Sign-extended and shifted, the sign is in bits 31 to 27; only the first belongs there.
  const auto wide = hn::PromoteTo(di, hn::LoadU(d8, reinterpret_cast<const int8_t*>(codes)));
  const auto bits = hn::And(hn::ShiftLeft<20>(wide), hn::Set(di, static_cast<int32_t>(0x87F00000)));
  return hn::BitCast(d, bits);
}

/// kLanes E2M1 codes, two per byte and the low nibble first, as floats times 1 / kE2m1Factor.
HWY_INLINE VF decode_e2m1(const uint8_t* bytes) {
  const DF d;
#if HWY_MAX_BYTES >= 64
  // Sixteen lanes hold the whole table: lane i shifts its half of the eight bytes by 4 * (i % 8).
  static constexpr float kUnit = 1 / kE2m1Factor;
  HWY_ALIGN static constexpr float kTable[16] = {
      0,     0.5f * kUnit,  kUnit,  1.5f * kUnit,  2 * kUnit,  3 * kUnit,  4 * kUnit,  6 * kUnit,
      -0.0f, -0.5f * kUnit, -kUnit, -1.5f * kUnit, -2 * kUnit, -3 * kUnit, -4 * kUnit, -6 * kUnit};
  HWY_ALIGN static constexpr uint32_t kShifts[16] = {0, 4, 8, 12, 16, 20, 24, 28,
                                                     0, 4, 8, 12, 16, 20, 24, 28};
  const DU du;
  const hn::RebindToSigned<DF> di;
  const hn::Half<DU> dh;
  uint32_t low;
  uint32_t high;
  std::memcpy(&low, bytes, 4);
  std::memcpy(&high, bytes + 4, 4);
  const auto words = hn::Combine(du, hn::Set(dh, high), hn::Set(dh, low));
  const auto codes = hn::And(hn::Shr(words, hn::Load(du, kShifts)), hn::Set(du, 15));
  return hn::TableLookupLanes(hn::Load(d, kTable), hn::IndicesFromVec(d, hn::BitCast(di, codes)));
#else
  const hn::Rebind<uint16_t, DF> d16;
  const hn::Repartition<uint32_t, decltype(d16)> d32;
  const hn::Rebind<uint8_t, decltype(d32)> d8;
  const hn::Rebind<hwy::float16_t, DF> dh;
  const auto wide = hn::PromoteTo(d32, hn::LoadU(d8, bytes));
  // Each byte's nibbles become the two halves of 32 bits: magnitude to bits 11..9, sign to 15.
  const auto pair = hn::BitCast(d16, hn::Or(wide, hn::ShiftLeft<12>(wide)));
  const auto magnitude = hn::ShiftLeft<9>(hn::And(pair, hn::Set(d16, 7)));
  const auto sign = hn::ShiftLeft<12>(hn::And(pair, hn::Set(d16, 8)));
  return hn::PromoteTo(d, hn::BitCast(dh, hn::Or(magnitude, sign)));
#endif
}

/// kLanes BF16 values at any address.
HWY_INLINE VF decode_bf16(const uint8_t* bytes) {
  const DF d;
  const DU du;
  const hn::Rebind<uint16_t, DF> d16;
  const hn::Repartition<uint8_t, decltype(d16)> d8;
  const auto codes = hn::BitCast(d16, hn::LoadU(d8, bytes));
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(du, codes)));
}

/// Sum over all lanes, always in the same order.
HWY_INLINE float sum_lanes(VF v) {
  const DF d;
  return hn::GetLane(hn::SumOfLanes(d, v));
}

/// Sums over all lanes of four vectors, in lanes 0 to 3, each always in the same order.
HWY_INLINE VF sum_lanes(VF a, VF b, VF c, VF e) {
  const DF d;
  const auto neighbours = [d](VF low, VF high) HWY_ATTR {
    return hn::Add(hn::ConcatEven(d, high, low), hn::ConcatOdd(d, high, low));
  };
  VF sums = neighbours(neighbours(a, b), neighbours(c, e));
  for (size_t lanes = kLanes; lanes > 4; lanes /= 2) sums = neighbours(sums, sums);
  return sums;
}

HWY_INLINE float max_lanes(VF v) {
  const DF d;
  return hn::GetLane(hn::MaxOfLanes(d, v));
}

}  // namespace ds4::ops::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // HWY_TARGET != HWY_SCALAR
#endif  // include guard

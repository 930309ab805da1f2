// The weight formats whose products are measured, and how a matrix of them lies in memory: tiles of
// 16 rows by chunks of 256 columns, whose codes are ordered as a warp loads them (as an engine
// would repack them at load; no format grows by it). Code of host and device.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define DS4_BOTH __host__ __device__
#else
#define DS4_BOTH
#endif

namespace ds4::probes {

/// Names as they are printed are in gemv_name().
enum class WeightFormat {
  kBf16,        // no scales
  kFp8,         // E4M3, one power of two per 128 x 128
  kQ8_0,        // int8, one f16 per 32
  kMxfp4,       // E2M1, one power of two per 32
  kNvfp4,       // E2M1, one E4M3 per 16
  kNvfp4Plain,  // the same without its scales
  kInt4,        // 4 bits less 8, one f16 per 128
  kQ2K,         // 2 bits; per 16 a scale and a minimum of 4 bits, per 256 two f16
  kIq2Xxs,  // 8 values by an index into 256, 7 bits of signs; per 32 a scale of 4 bits, per 256 an
            // f16
};
inline constexpr WeightFormat kWeightFormats[] = {
    WeightFormat::kBf16,  WeightFormat::kFp8,   WeightFormat::kQ8_0,
    WeightFormat::kMxfp4, WeightFormat::kNvfp4, WeightFormat::kNvfp4Plain,
    WeightFormat::kInt4,  WeightFormat::kQ2K,   WeightFormat::kIq2Xxs};

inline constexpr int kTileRows = 16;
inline constexpr int kChunk = 256;      // columns
inline constexpr int kLanePairs = 32;   // pairs of weights of a lane, in a chunk of one row
inline constexpr int kMostColumns = 8;  // of the activations

/// 16-byte units of codes that a lane has of one row in a chunk.
DS4_BOTH constexpr int code_units(WeightFormat format) {
  switch (format) {
    case WeightFormat::kBf16:
      return 8;
    case WeightFormat::kFp8:
    case WeightFormat::kQ8_0:
      return 4;
    case WeightFormat::kQ2K:
    case WeightFormat::kIq2Xxs:
      return 1;
    default:
      return 2;
  }
}

/// Bytes of a tile's chunk in each of three planes. Codes: [2 halves of the rows][unit][lane] of 16
/// bytes, the lane of row g (mod 8) and part t being 4 g + t.
DS4_BOTH constexpr int code_bytes(WeightFormat format) {
  return 2 * code_units(format) * 32 * 16;
}
/// Scales of a format whose chunk has any of its own; FP8's are apart, see tile_scale_bytes().
DS4_BOTH constexpr int scale_bytes(WeightFormat format) {
  switch (format) {
    case WeightFormat::kQ8_0:
      return 16 * 16;  // [row] of 8 f16
    case WeightFormat::kMxfp4:
      return 16 * 8;  // [row] of 8 E8M0
    case WeightFormat::kNvfp4:
    case WeightFormat::kQ2K:
      return 2 * 32 * 4;  // [half][lane] of 4 bytes: the lane's four groups of 16
    case WeightFormat::kInt4:
      return 16 * 4;  // [row] of 2 f16
    default:
      return 0;
  }
}
/// Per row and chunk: f16 d and dmin of Q2_K, f16 d of IQ2_XXS.
DS4_BOTH constexpr int block_bytes(WeightFormat format) {
  return format == WeightFormat::kQ2K ? 16 * 4 : format == WeightFormat::kIq2Xxs ? 16 * 2 : 0;
}

/// The column inside a chunk of weight `half` (0, 1) of pair `pair` (0..31) of part t (0..3): the
/// order in which a lane's products take its weights.
DS4_BOTH constexpr int column_of(WeightFormat format, int t, int pair, int half) {
  switch (format) {
    case WeightFormat::kBf16:  // unit of 8
      return pair / 4 * 32 + t * 8 + pair % 4 * 2 + half;
    case WeightFormat::kFp8:  // units of 16, two of them in a group of 128
      return pair / 16 * 128 + t * 32 + pair % 16 * 2 + half;
    case WeightFormat::kQ8_0:  // two words of 4 in a group of 32
      return pair / 4 * 32 + t * 8 + pair % 4 * 2 + half;
    case WeightFormat::kMxfp4:  // one word of 8 in a group of 32; nibbles i and i + 4 are a pair
      return pair / 4 * 32 + t * 8 + pair % 4 + 4 * half;
    case WeightFormat::kNvfp4:
    case WeightFormat::kNvfp4Plain:  // two words of 8 in a group of 16
    case WeightFormat::kInt4:        // four words of 8 of a group of 128
      return pair / 16 * 128 + t * 32 + pair % 16 / 4 * 8 + pair % 4 + 4 * half;
    case WeightFormat::kQ2K:  // 8 pairs in a group of 16
      return t * 64 + pair * 2 + half;
    case WeightFormat::kIq2Xxs:  // 4 pairs of an entry of 8: j and j + 4
      return t * 64 + pair / 4 * 8 + pair % 4 + 4 * half;
  }
  return 0;
}

/// The 256 entries of IQ2_XXS's code book are random here, of the format's own three magnitudes:
/// which entry has which does not change how long it takes to fetch one.
inline constexpr int kBookEntries = 256;
DS4_BOTH constexpr int book_value(int entry, int element) {
  constexpr int kMagnitudes[3] = {8, 25, 43};
  uint32_t h = static_cast<uint32_t>(entry * 8 + element) * 2654435761u;
  h ^= h >> 15;
  h *= 0x85EBCA6Bu;
  h ^= h >> 13;
  return kMagnitudes[h % 3];
}

}  // namespace ds4::probes

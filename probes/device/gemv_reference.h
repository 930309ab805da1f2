// What a product of gemv.h must give, in float64 from the formats' definitions: it shares the order
// of codes in memory with the kernels, and none of their arithmetic. Host code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "probes/device/gemv_format.h"

namespace ds4::probes {

/// A tile's planes, copied to the host.
struct TileBytes {
  std::vector<std::byte> codes, scales, blocks;  // of all chunks of the tile's 16 rows
  std::vector<std::byte> fp8_scales;             // E8M0 [columns / 128] of the tile
};

/// The weights of row `row` (0 to 15) of a tile of so many chunks.
std::vector<double> decode_row(WeightFormat format, const TileBytes& tile, int row, int chunks);

/// `x`: [8][chunks * 256] values that the format's products hold exactly (f16, or bf16 for BF16).
/// Returns GemvInput::x.
std::vector<std::byte> arrange_input(WeightFormat format, std::span<const float> x, int chunks);
/// GemvInput::sums of the same.
std::vector<std::byte> sum_input(std::span<const float> x, int chunks);

/// f16 and bf16, rounded to nearest even; finite values in f16's range only.
uint16_t to_f16(float value);
float from_f16(uint16_t bits);
uint16_t to_bf16(float value);

}  // namespace ds4::probes

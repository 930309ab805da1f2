// Stored weights into the kernels' layouts on the processors, byte for byte what repack.cu makes on
// the GPU: for files that are written before any GPU reads them. In every build.
#pragma once

#include <cstddef>
#include <span>

#include "engine/ops/cuda/weight_plan.h"

namespace ds4::ops::cuda {

/// A part of a piece, whole grains from a multiple of its grain on, in the piece's layout. Both of
/// equal size.
void repack_on_host(const WeightPiece& piece, std::span<const std::byte> from,
                    std::span<std::byte> to);

}  // namespace ds4::ops::cuda

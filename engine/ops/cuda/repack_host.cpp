#include "engine/ops/cuda/repack_host.h"

#include <array>
#include <cstdint>
#include <cstring>

#include "engine/base/check.h"

namespace ds4::ops::cuda {
namespace {

constexpr int64_t kTileRows = 16;
constexpr int64_t kGroup = 128;
constexpr int64_t kLanes = 32;
constexpr int64_t kUnit = 16;  // bytes that a lane takes at once

// Four MXFP4 codes in the bit order that planes_bits_f16 (mma_feeds.cuh) reads.
uint16_t half_planes(uint32_t codes) {
  constexpr int kMagnitudeAt[4] = {9, 6, 3, 0};
  constexpr int kSignAt[4] = {15, 12, 13, 14};
  uint32_t out = 0;
  for (int i = 0; i < 4; ++i) {
    const uint32_t code = codes >> (4 * i) & 15;
    out |= (code & 7) << kMagnitudeAt[i] | code >> 3 << kSignAt[i];
  }
  return static_cast<uint16_t>(out);
}

const std::array<uint16_t, 65536>& all_planes() {
  static const auto table = [] {
    std::array<uint16_t, 65536> made{};
    for (uint32_t codes = 0; codes < 65536; ++codes) made[codes] = half_planes(codes);
    return made;
  }();
  return table;
}

// One unit of planes: every fourth word of a row's 64 bytes.
void put_planes(const std::byte* row, int64_t lane_of_four, std::byte* unit) {
  const auto& planes = all_planes();
  for (int64_t word = 0; word < 4; ++word) {
    uint16_t halves[2];
    std::memcpy(halves, row + (word * 4 + lane_of_four) * 4, sizeof halves);
    for (uint16_t& half : halves) half = planes[half];
    std::memcpy(unit + word * 4, halves, sizeof halves);
  }
}

// Units in the order of the result: 16 rows, a group of 128 columns, then for each pair of halves
// of the rows all 32 lanes, of which four follow each other along a row.
void repack_tiles(const WeightPiece& piece, std::span<const std::byte> from,
                  std::span<std::byte> to) {
  const bool planes = piece.layout == WeightPiece::Layout::kPlanes;
  const int64_t groups = piece.cols / kGroup;
  const int64_t in_group = piece.row_bytes / groups;
  const int64_t units = in_group / 32;  // of each lane
  std::byte* out = to.data();
  const int64_t rows = static_cast<int64_t>(from.size()) / piece.row_bytes;
  for (int64_t first = 0; first < rows; first += kTileRows) {
    for (int64_t group = 0; group < groups; ++group) {
      for (int64_t u = 0; u < units; ++u) {
        for (int64_t lane = 0; lane < kLanes; ++lane, out += kUnit) {
          const int64_t row = first + lane / 4 + 8 * (u % 2);
          const std::byte* at = from.data() + row * piece.row_bytes + group * in_group;
          if (planes) {
            put_planes(at, lane % 4, out);
          } else {
            std::memcpy(out, at + (u / 2 * 4 + lane % 4) * kUnit, kUnit);
          }
        }
      }
    }
  }
}

// The four scales of a group of 128 columns, for 16 rows after each other.
void repack_scales(const WeightPiece& piece, std::span<const std::byte> from,
                   std::span<std::byte> to) {
  const int64_t groups = piece.cols / kGroup;
  std::byte* out = to.data();
  const int64_t rows = static_cast<int64_t>(from.size()) / piece.row_bytes;
  for (int64_t first = 0; first < rows; first += kTileRows) {
    for (int64_t group = 0; group < groups; ++group) {
      for (int64_t row = first; row < first + kTileRows; ++row, out += 4) {
        std::memcpy(out, from.data() + row * piece.row_bytes + group * 4, 4);
      }
    }
  }
}

}  // namespace

void repack_on_host(const WeightPiece& piece, std::span<const std::byte> from,
                    std::span<std::byte> to) {
  DS4_CHECK(from.size() == to.size() && static_cast<int64_t>(from.size()) % piece.grain() == 0);
  switch (piece.layout) {
    case WeightPiece::Layout::kStored:
      std::memcpy(to.data(), from.data(), from.size());
      return;
    case WeightPiece::Layout::kUnits:
    case WeightPiece::Layout::kPlanes:
      return repack_tiles(piece, from, to);
    case WeightPiece::Layout::kFp4Scales:
      return repack_scales(piece, from, to);
  }
}

}  // namespace ds4::ops::cuda

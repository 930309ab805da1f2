#include "probes/device/gemv_reference.h"

#include <cmath>
#include <cstring>

#include "engine/base/check.h"

namespace ds4::probes {
namespace {

using enum WeightFormat;

template <class T>
T at(const std::vector<std::byte>& bytes, int64_t index) {
  T value;
  DS4_CHECK(index >= 0 &&
            (index + 1) * static_cast<int64_t>(sizeof(T)) <= static_cast<int64_t>(bytes.size()));
  std::memcpy(&value, bytes.data() + index * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

double e4m3(int code) {
  const int exponent = code >> 3 & 15, mantissa = code & 7;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
  return code & 128 ? -magnitude : magnitude;
}

// Magnitude (3 bits: exponent, mantissa) and sign.
double e2m1(int magnitude, int sign) {
  constexpr double kValues[8] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  return sign ? -kValues[magnitude] : kValues[magnitude];
}

double e8m0(int code) {
  return std::ldexp(1.0, code - 127);
}

// One tile's chunk, seen from a lane of a row.
struct LaneView {
  const TileBytes& tile;
  int chunk, row, t;

  int half() const { return row / 8; }
  int lane() const { return row % 8 * 4 + t; }
  // 32-bit word `i` of the lane's codes of this row.
  uint32_t code(WeightFormat format, int i) const {
    const int units = code_units(format);
    const int64_t unit = (int64_t{chunk} * 2 + half()) * units + i / 4;
    return at<uint32_t>(tile.codes, (unit * 32 + lane()) * 4 + i % 4);
  }
  // Byte `i` of the four that belong to the lane's own groups.
  int lane_scale(int i) const {
    return at<uint8_t>(tile.scales, ((int64_t{chunk} * 2 + half()) * 32 + lane()) * 4 + i);
  }
  template <class T>
  T row_scale(int per_row, int i) const {
    return at<T>(tile.scales, (int64_t{chunk} * 16 + row) * per_row + i);
  }
};

// Weight `half` of pair `pair` of the lane.
double weight(WeightFormat format, const LaneView& v, int pair, int half) {
  const int column = column_of(format, v.t, pair, half);
  const int64_t block = int64_t{v.chunk} * 16 + v.row;
  switch (format) {
    case kBf16: {
      const uint32_t bits = v.code(format, pair) >> (16 * half) << 16;
      float value;
      std::memcpy(&value, &bits, sizeof value);
      return static_cast<double>(value);
    }
    case kFp8: {
      const int code = v.code(format, pair / 2) >> (pair % 2 * 16 + half * 8) & 255;
      return e4m3(code) * e8m0(at<uint8_t>(v.tile.fp8_scales, v.chunk * 2 + column / 128));
    }
    case kQ8_0: {
      const auto code =
          static_cast<int8_t>(v.code(format, pair / 2) >> (pair % 2 * 16 + half * 8) & 255);
      return code * static_cast<double>(from_f16(v.row_scale<uint16_t>(8, column / 32)));
    }
    case kMxfp4:
    case kNvfp4:
    case kNvfp4Plain: {
      // The four codes of a half word: magnitudes at 9, 6, 3, 0, signs at 15, 12, 13, 14.
      constexpr int kMagnitude[4] = {9, 6, 3, 0}, kSign[4] = {15, 12, 13, 14};
      const uint32_t codes = v.code(format, pair / 4) >> (16 * half) & 0xFFFF;
      const double value = e2m1(codes >> kMagnitude[pair % 4] & 7, codes >> kSign[pair % 4] & 1);
      if (format == kMxfp4) return value * e8m0(v.row_scale<uint8_t>(8, column / 32));
      return format == kNvfp4 ? value * e4m3(v.lane_scale(pair / 8)) : value;
    }
    case kInt4: {
      const int place = pair % 4;  // nibbles in the order 0, 1, 2, 3 of each half word
      const int code = v.code(format, pair / 4) >> (16 * half + 4 * place) & 15;
      return (code - 8) * static_cast<double>(from_f16(v.row_scale<uint16_t>(2, column / 128)));
    }
    case kQ2K: {
      const int group = pair / 8, word = pair % 8 / 2, place = group * 2 + pair % 2;
      const int code = v.code(format, word) >> (16 * half + 2 * place) & 3;
      const int scales = v.lane_scale(group);
      const uint32_t d = at<uint32_t>(v.tile.blocks, block);
      return static_cast<double>(from_f16(d & 0xFFFF)) * (scales & 15) * code -
             static_cast<double>(from_f16(static_cast<uint16_t>(d >> 16))) * (scales >> 4);
    }
    case kIq2Xxs: {
      const int entry = pair / 4, element = pair % 4 + 4 * half;
      const uint32_t indices = v.code(format, entry / 4 * 2);
      const uint32_t rest = v.code(format, entry / 4 * 2 + 1);
      const int index = indices >> (8 * (entry % 4)) & 255, seven = rest >> (7 * (entry % 4)) & 127;
      int minus = seven >> element & 1;
      if (element == 7) {
        for (int bit = 0; bit < 7; ++bit) minus ^= seven >> bit & 1;
      }
      const double d = static_cast<double>(from_f16(at<uint16_t>(v.tile.blocks, block)));
      const double value = d * (0.5 + (rest >> 28)) * 0.25 * book_value(index, element);
      return minus ? -value : value;
    }
  }
  return 0;
}

}  // namespace

uint16_t to_f16(float value) {
  const double magnitude = std::abs(static_cast<double>(value));
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  if (magnitude == 0) return sign;
  int exponent = 0;
  std::frexp(magnitude, &exponent);  // magnitude = m 2^exponent, m in [0.5, 1)
  const int step = std::max(exponent - 11, -24);
  const auto units = static_cast<int>(std::nearbyint(std::ldexp(magnitude, -step)));
  // Eleven bits with the leading one; subnormals have it missing and the exponent field 0. Rounding
  // up to the next power carries into the exponent by itself.
  DS4_CHECK(step <= 5);
  return static_cast<uint16_t>(sign | (((step + 24) << 10) + units));
}

float from_f16(uint16_t bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  return static_cast<float>(bits & 0x8000 ? -magnitude : magnitude);
}

uint16_t to_bf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

std::vector<double> decode_row(WeightFormat format, const TileBytes& tile, int row, int chunks) {
  std::vector<double> weights(static_cast<size_t>(chunks) * kChunk);
  for (int chunk = 0; chunk < chunks; ++chunk) {
    for (int t = 0; t < 4; ++t) {
      const LaneView view{tile, chunk, row, t};
      for (int pair = 0; pair < kLanePairs; ++pair) {
        for (int half = 0; half < 2; ++half) {
          weights[static_cast<size_t>(chunk * kChunk + column_of(format, t, pair, half))] =
              weight(format, view, pair, half);
        }
      }
    }
  }
  return weights;
}

std::vector<std::byte> arrange_input(WeightFormat format, std::span<const float> x, int chunks) {
  const auto row = static_cast<size_t>(chunks) * kChunk;
  std::vector<uint16_t> values(row * kMostColumns);
  size_t to = 0;
  for (int chunk = 0; chunk < chunks; ++chunk) {
    for (int piece = 0; piece < kLanePairs / 4; ++piece) {
      for (int column = 0; column < kMostColumns; ++column) {
        for (int t = 0; t < 4; ++t) {
          for (int i = 0; i < 8; ++i) {
            const int k = column_of(format, t, piece * 4 + i / 2, i % 2);
            const float value =
                x[static_cast<size_t>(column) * row + static_cast<size_t>(chunk * kChunk + k)];
            values[to++] = format == kBf16 ? to_bf16(value) : to_f16(value);
          }
        }
      }
    }
  }
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> sum_input(std::span<const float> x, int chunks) {
  const auto row = static_cast<size_t>(chunks) * kChunk;
  std::vector<uint16_t> values(static_cast<size_t>(chunks) * kMostColumns * 4 * 8);
  for (int chunk = 0; chunk < chunks; ++chunk) {
    for (int column = 0; column < kMostColumns; ++column) {
      for (int t = 0; t < 4; ++t) {
        uint16_t* to = &values[static_cast<size_t>((chunk * kMostColumns + column) * 4 + t) * 8];
        for (int group = 0; group < 4; ++group) {
          double sum = 0;
          for (int i = 0; i < 16; ++i) {
            sum += static_cast<double>(
                x[static_cast<size_t>(column) * row +
                  static_cast<size_t>(chunk * kChunk + t * 64 + group * 16 + i)]);
          }
          to[group] = to_f16(static_cast<float>(sum));
          to[4 + group] =
              to_f16(static_cast<float>(sum - static_cast<double>(from_f16(to[group]))));
        }
      }
    }
  }
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

}  // namespace ds4::probes

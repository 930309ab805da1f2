#include "tests/unit/engine/reference/formats.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

namespace ds4::reference {
namespace {

// Sign, exponent and mantissa bits to a number; no infinities, NaN left to the caller.
double small_float(unsigned code, int exponent_bits, int mantissa_bits, int bias) {
  const unsigned mantissa = code & ((1u << mantissa_bits) - 1);
  const unsigned exponent = (code >> mantissa_bits) & ((1u << exponent_bits) - 1);
  const bool negative = (code >> (exponent_bits + mantissa_bits)) & 1;
  const double fraction = std::ldexp(mantissa, -mantissa_bits);
  const double value = exponent == 0 ? std::ldexp(fraction, 1 - bias)
                                     : std::ldexp(1 + fraction, static_cast<int>(exponent) - bias);
  return negative ? -value : value;
}

template <size_t N>
std::array<double, N> all_codes(int exponent_bits, int mantissa_bits, int bias) {
  std::array<double, N> values{};
  for (unsigned code = 0; code < N; ++code) {
    values[code] = small_float(code, exponent_bits, mantissa_bits, bias);
  }
  return values;
}

const std::array<double, 256>& e4m3() {
  static const std::array<double, 256> values = all_codes<256>(4, 3, 7);
  return values;
}
const std::array<double, 16>& e2m1() {
  static const std::array<double, 16> values = all_codes<16>(2, 1, 1);
  return values;
}

double e8m0(uint8_t code) {
  static const std::array<double, 256> values = [] {
    std::array<double, 256> all{};
    for (int i = 0; i < 256; ++i) all[static_cast<size_t>(i)] = std::ldexp(1.0, i - 127);
    return all;
  }();
  return values[code];
}
uint8_t e8m0_code(double power_of_two) {
  return static_cast<uint8_t>(std::ilogb(power_of_two) + 127);
}

// Nearest number with so many mantissa bits and exponents of at least `least`; ties to even.
double round_to_grid(double x, int mantissa_bits, int least) {
  if (x == 0) return x;
  const double step = std::ldexp(1.0, std::max(std::ilogb(x), least) - mantissa_bits);
  return std::nearbyint(x / step) * step;
}

struct Grid {
  double floor, most;
  int mantissa_bits, least_exponent;
};
constexpr Grid kE4m3{1e-4, 448, 3, -6};
constexpr Grid kE2m1{6 * 0x1p-126, 6, 1, 0};

// The smallest power of two that brings the block's largest value into the grid.
double scale_of(std::span<const double> block, const Grid& grid) {
  double most = static_cast<float>(grid.floor);
  for (const double x : block) most = std::max(most, std::fabs(x));
  const auto reciprocal = static_cast<float>(1 / grid.most);
  const float t = static_cast<float>(most) * reciprocal;
  int exponent = 0;
  const float fraction = std::frexp(t, &exponent);  // in [0.5, 1)
  return std::ldexp(1.0, fraction == 0.5f ? exponent - 1 : exponent);
}

double on_grid(double x, double scale, const Grid& grid) {
  return round_to_grid(std::clamp(x / scale, -grid.most, grid.most), grid.mantissa_bits,
                       grid.least_exponent);
}

Row quantise(std::span<const double> x, int block, const Grid& grid) {
  Row out;
  for (size_t at = 0; at < x.size(); at += static_cast<size_t>(block)) {
    const auto part = x.subspan(at, std::min<size_t>(static_cast<size_t>(block), x.size() - at));
    const double scale = scale_of(part, grid);
    for (const double v : part) out.push_back(on_grid(v, scale, grid) * scale);
  }
  return out;
}

template <class Table>
uint8_t code_of(const Table& table, double value, uint8_t sign_bit) {
  const auto magnitude = std::find(table.begin(), table.end(), std::fabs(value));
  return static_cast<uint8_t>((magnitude - table.begin()) | (std::signbit(value) ? sign_bit : 0));
}

template <class T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

uint16_t bf16_bits(double x) {
  return static_cast<uint16_t>(std::bit_cast<uint32_t>(static_cast<float>(bf16(x))) >> 16);
}
double from_bf16_bits(uint16_t bits) {
  return std::bit_cast<float>(uint32_t{bits} << 16);
}

// Where the parts of an FP8 row lie: codes, rotated values as BF16 at an even byte, scales.
struct Fp8Row {
  int codes, rope_at, rope, scales_at;
  explicit Fp8Row(const ops::RowLayout& layout)
      : codes(layout.dim - layout.rope_dim),
        rope_at(codes + codes % 2),
        rope(layout.rope_dim),
        scales_at(rope_at + 2 * rope) {}
};

constexpr int kFp8Block = 64;
constexpr int kFp4Block = 32;

}  // namespace

double bf16(double x) {
  const auto bits = std::bit_cast<uint32_t>(static_cast<float>(x));
  const uint32_t rounded = bits + 0x7FFF + ((bits >> 16) & 1);
  return std::bit_cast<float>(rounded & 0xFFFF0000u);
}

double Arithmetic::bf(double x) const {
  return strict ? bf16(settle(x)) : x;
}

Row Arithmetic::bf(Row x) const {
  for (double& v : x) v = bf(v);
  return x;
}

Row q8(std::span<const double> x, int block) {
  return quantise(x, block, kE4m3);
}

Row q4(std::span<const double> x, int block) {
  return quantise(x, block, kE2m1);
}

Row matrix_row(const weights::Matrix& matrix, int64_t row) {
  using Format = weights::Matrix::Format;
  const auto cols = static_cast<size_t>(matrix.cols);
  Row out(cols);
  switch (matrix.format) {
    case Format::kF32:
      for (size_t c = 0; c < cols; ++c) {
        out[c] = load<float>(matrix.data + (row * matrix.cols + static_cast<int64_t>(c)) * 4);
      }
      break;
    case Format::kBf16:
      for (size_t c = 0; c < cols; ++c) {
        out[c] = from_bf16_bits(
            load<uint16_t>(matrix.data + (row * matrix.cols + static_cast<int64_t>(c)) * 2));
      }
      break;
    case Format::kFp8: {
      const auto* codes = reinterpret_cast<const uint8_t*>(matrix.data) + row * matrix.cols;
      const uint8_t* scales = matrix.scales + row / 128 * ((matrix.cols + 127) / 128);
      for (size_t c = 0; c < cols; ++c) out[c] = e4m3()[codes[c]] * e8m0(scales[c / 128]);
      break;
    }
    case Format::kFp4: {
      const auto* codes =
          reinterpret_cast<const uint8_t*>(matrix.data) + row * ((matrix.cols + 1) / 2);
      const uint8_t* scales = matrix.scales + row * ((matrix.cols + 31) / 32);
      for (size_t c = 0; c < cols; ++c) {
        const unsigned code = c % 2 ? codes[c / 2] >> 4 : codes[c / 2] & 15u;
        out[c] = e2m1()[code] * e8m0(scales[c / 32]);
      }
      break;
    }
  }
  return out;
}

std::vector<std::byte> pack_row(const ops::RowLayout& layout, const Row& x) {
  std::vector<std::byte> bytes(static_cast<size_t>(layout.bytes()));
  const auto put = [&](size_t at, auto value) { std::memcpy(&bytes[at], &value, sizeof value); };
  const auto dim = static_cast<size_t>(layout.dim);
  switch (layout.format) {
    case ops::RowFormat::kF32:
      for (size_t i = 0; i < dim; ++i) put(4 * i, static_cast<float>(x[i]));
      break;
    case ops::RowFormat::kBf16:
      for (size_t i = 0; i < dim; ++i) put(2 * i, bf16_bits(x[i]));
      break;
    case ops::RowFormat::kFp8: {
      const Fp8Row parts(layout);
      for (int at = 0; at < parts.codes; at += kFp8Block) {
        const auto block = std::span(x).subspan(
            static_cast<size_t>(at), static_cast<size_t>(std::min(kFp8Block, parts.codes - at)));
        const double scale = scale_of(block, kE4m3);
        put(static_cast<size_t>(parts.scales_at + at / kFp8Block), e8m0_code(scale));
        for (size_t i = 0; i < block.size(); ++i) {
          put(static_cast<size_t>(at) + i, code_of(e4m3(), on_grid(block[i], scale, kE4m3), 0x80));
        }
      }
      for (int i = 0; i < parts.rope; ++i) {
        put(static_cast<size_t>(parts.rope_at + 2 * i),
            bf16_bits(x[static_cast<size_t>(parts.codes + i)]));
      }
      break;
    }
    case ops::RowFormat::kFp4: {
      const size_t scales_at = (dim + 1) / 2;
      for (size_t at = 0; at < dim; at += kFp4Block) {
        const auto block = std::span(x).subspan(at, std::min<size_t>(kFp4Block, dim - at));
        const double scale = scale_of(block, kE2m1);
        put(scales_at + at / kFp4Block, e8m0_code(scale));
        for (size_t i = at; i < at + block.size(); ++i) {
          const uint8_t code = code_of(e2m1(), on_grid(x[i], scale, kE2m1), 8);
          bytes[i / 2] |= static_cast<std::byte>(i % 2 ? code << 4 : code);
        }
      }
      break;
    }
  }
  return bytes;
}

Row unpack_row(const ops::RowLayout& layout, std::span<const std::byte> bytes) {
  const auto dim = static_cast<size_t>(layout.dim);
  const auto* codes = reinterpret_cast<const uint8_t*>(bytes.data());
  Row x(dim);
  switch (layout.format) {
    case ops::RowFormat::kF32:
      for (size_t i = 0; i < dim; ++i) x[i] = load<float>(&bytes[4 * i]);
      break;
    case ops::RowFormat::kBf16:
      for (size_t i = 0; i < dim; ++i) x[i] = from_bf16_bits(load<uint16_t>(&bytes[2 * i]));
      break;
    case ops::RowFormat::kFp8: {
      const Fp8Row parts(layout);
      for (int i = 0; i < parts.codes; ++i) {
        x[static_cast<size_t>(i)] = e4m3()[codes[i]] * e8m0(codes[parts.scales_at + i / kFp8Block]);
      }
      for (int i = 0; i < parts.rope; ++i) {
        x[static_cast<size_t>(parts.codes + i)] =
            from_bf16_bits(load<uint16_t>(&bytes[static_cast<size_t>(parts.rope_at + 2 * i)]));
      }
      break;
    }
    case ops::RowFormat::kFp4: {
      const size_t scales_at = (dim + 1) / 2;
      for (size_t i = 0; i < dim; ++i) {
        const unsigned code = i % 2 ? codes[i / 2] >> 4 : codes[i / 2] & 15u;
        x[i] = e2m1()[code] * e8m0(codes[scales_at + i / kFp4Block]);
      }
      break;
    }
  }
  return x;
}

}  // namespace ds4::reference

// Stored formats and rounding in double precision, written from model.md 2.2, 3.0 and 4.3 alone:
// the ground that the float64 reference of the operations stands on. Shares no code with the
// engine; of the engine it knows only how a matrix and a row are described.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/ops/rows.h"
#include "engine/weights/matrix.h"

namespace ds4::reference {

using Row = std::vector<double>;

/// Where values are rounded. Strict: at the model's rounding points, every sum in float64 and
/// rounded once to float32 before. Else nowhere: the true value of the formulas.
struct Arithmetic {
  bool strict = true;

  double settle(double x) const { return strict ? static_cast<double>(static_cast<float>(x)) : x; }
  double bf(double x) const;
  Row bf(Row x) const;
};

/// Nearest BF16, ties to even.
double bf16(double x);

/// Q8 and Q4 of model.md 3.0, each value back as code times scale; not rounded to BF16.
Row q8(std::span<const double> x, int block);
Row q4(std::span<const double> x, int block);

/// One row of a stored matrix.
Row matrix_row(const weights::Matrix& matrix, int64_t row);

/// Bytes of a cache row that holds the values nearest to x, and the values of such bytes.
std::vector<std::byte> pack_row(const ops::RowLayout& layout, const Row& x);
Row unpack_row(const ops::RowLayout& layout, std::span<const std::byte> bytes);

}  // namespace ds4::reference

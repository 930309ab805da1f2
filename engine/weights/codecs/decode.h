// Rows of a Matrix as floats, whatever the stored format. The plain way: back ends with their own
// kernels use it for embedding rows, set-up and as the thing to compare with.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/weights/matrix.h"

namespace ds4::weights {

/// Writes W[row, col_begin .. col_begin+n) to `out` [n], scales folded in. Exact: every format
/// times its power-of-two scale is a float, except that an E4M3 value of 2 or more under a scale of
/// 2^127 (and its like) overflows to infinity.
void decode_row(const Matrix& matrix, int64_t row, int64_t col_begin, int64_t n, float* out);

/// "FP4", "FP8", "BF16" or "F32".
std::string_view format_name(Matrix::Format format);

}  // namespace ds4::weights

#include "engine/weights/codecs/decode.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/weights/codecs/e2m1.h"
#include "engine/weights/codecs/e4m3.h"
#include "engine/weights/codecs/e8m0.h"
#include "engine/weights/codecs/f32.h"

namespace ds4::weights {
namespace {

// Calls value(c) for the columns of each scale block, multiplied by the block's scale.
template <typename Value>
void decode_blocks(const uint8_t* scales, int64_t block, int64_t begin, int64_t end, float* out,
                   Value value) {
  for (int64_t c = begin; c < end;) {
    const float scale = e8m0_decode(scales[c / block]);
    const int64_t stop = std::min(end, (c / block + 1) * block);
    for (; c < stop; ++c) *out++ = value(c) * scale;
  }
}

}  // namespace

void decode_row(const Matrix& matrix, int64_t row, int64_t col_begin, int64_t n, float* out) {
  DS4_DCHECK(row >= 0 && row < matrix.rows && col_begin >= 0 && n >= 0 &&
             col_begin + n <= matrix.cols);
  const std::byte* data = matrix.row_data(row);
  const int64_t end = col_begin + n;
  switch (matrix.format) {
    case Matrix::Format::kFp4:
      decode_blocks(matrix.row_scales(row), kFp4Block, col_begin, end, out, [&](int64_t c) {
        const uint8_t pair = static_cast<uint8_t>(data[c / 2]);
        return e2m1_decode((c & 1) ? pair >> 4 : pair);
      });
      return;
    case Matrix::Format::kFp8:
      decode_blocks(matrix.row_scales(row), kFp8Block, col_begin, end, out,
                    [&](int64_t c) { return e4m3_decode(static_cast<uint8_t>(data[c])); });
      return;
    case Matrix::Format::kBf16:
      for (int64_t c = col_begin; c < end; ++c) *out++ = load_bf16(data + 2 * c);
      return;
    case Matrix::Format::kF32:
      for (int64_t c = col_begin; c < end; ++c) *out++ = load_f32(data + 4 * c);
      return;
  }
}

std::string_view format_name(Matrix::Format format) {
  switch (format) {
    case Matrix::Format::kFp4:
      return "FP4";
    case Matrix::Format::kFp8:
      return "FP8";
    case Matrix::Format::kBf16:
      return "BF16";
    case Matrix::Format::kF32:
      return "F32";
  }
  return "?";
}

}  // namespace ds4::weights

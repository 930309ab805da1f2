// Faults of reading stored formats (model.md 2.2; traps T2, T3, T25, T26).
#include <algorithm>

#include "engine/weights/codecs/decode.h"
#include "tests/faults/fault.h"
#include "tests/faults/matrices.h"

namespace ds4::faults {
namespace {

using weights::Matrix;
using weights::ModelWeights;
using Format = Matrix::Format;

using Change = std::function<void(ModelWeights&, Matrix&)>;

Fault format_fault(std::string name, std::string mechanism, Format format, Change change) {
  Fault fault{std::move(name), std::move(mechanism), Seam::kWeights, {}, {}, {}};
  fault.spoil = [format, change](ModelWeights& model, EngineSettings&) {
    each_matrix(model, [&](Matrix& w) {
      if (w.format == format) change(model, w);
    });
  };
  return fault;
}

void exchange_nibbles(ModelWeights& model, Matrix& w) {
  std::byte* data = own_data(model, w);
  for (int64_t i = 0; i < w.rows * w.row_bytes(); ++i) data[i] = data[i] << 4 | data[i] >> 4;
}

// The order of ggml's MXFP4 blocks: byte j of 16 holds elements j and j + 16.
void pair_as_ggml(ModelWeights& model, Matrix& w) {
  const std::byte* from = w.data;
  std::byte* to = own_data(model, w);
  const auto code = [&](int64_t row, int64_t col) {
    return (from[row * w.row_bytes() + col / 2] >> (col % 2 ? 4 : 0)) & std::byte{15};
  };
  for (int64_t row = 0; row < w.rows; ++row) {
    for (int64_t block = 0; block + weights::kFp4Block <= w.cols; block += weights::kFp4Block) {
      for (int64_t j = 0; j < 16; ++j) {
        to[row * w.row_bytes() + block / 2 + j] = code(row, block + j) | code(row, block + j + 16)
                                                                             << 4;
      }
    }
  }
}

void scale_of_first_block(ModelWeights& model, Matrix& w) {
  uint8_t* scales = own_scales(model, w);
  const int64_t rows =
      w.format == Format::kFp8 ? (w.rows + weights::kFp8Block - 1) / weights::kFp8Block : w.rows;
  for (int64_t row = 0; row < rows; ++row) {
    std::fill_n(scales + row * w.scale_cols(), w.scale_cols(), scales[row * w.scale_cols()]);
  }
}

void scales_doubled(ModelWeights& model, Matrix& w) {
  uint8_t* scales = own_scales(model, w);
  const int64_t n = w.stored_bytes() - w.rows * w.row_bytes();
  for (int64_t i = 0; i < n; ++i) ++scales[i];
}

void scales_zeroed(ModelWeights& model, Matrix& w) {
  uint8_t* scales = own_scales(model, w);
  std::fill_n(scales, w.stored_bytes() - w.rows * w.row_bytes(), uint8_t{0});
}

void subnormals_flushed(ModelWeights& model, Matrix& w) {
  std::byte* data = own_data(model, w);
  for (int64_t i = 0; i < w.rows * w.cols; ++i) {
    if ((data[i] & std::byte{0x78}) == std::byte{0}) data[i] = std::byte{0};
  }
}

// Engines that widen FP8 weights once at load then multiply without quantising activations.
void widened(ModelWeights& model, Matrix& w) {
  auto wide = std::make_shared<std::vector<float>>(static_cast<size_t>(w.rows * w.cols));
  for (int64_t row = 0; row < w.rows; ++row) {
    weights::decode_row(w, row, 0, w.cols, wide->data() + row * w.cols);
  }
  model.storage.push_back(wide);
  w = {Format::kF32, w.rows, w.cols, reinterpret_cast<const std::byte*>(wide->data()), nullptr};
}

Fault settings_fault(std::string name, std::string mechanism,
                     const std::function<void(EngineSettings&)>& change) {
  Fault fault{std::move(name), std::move(mechanism), Seam::kWeights, {}, {}, {}};
  fault.spoil = [change](ModelWeights&, EngineSettings& settings) { change(settings); };
  return fault;
}

}  // namespace

std::vector<Fault> format_faults() {
  const std::string fp4 = "E2M1 decoding and nibble order";
  const std::string fp8 = "E4M3 and E8M0 decoding";
  return {
      format_fault("FP4 nibbles exchanged", fp4, Format::kFp4, exchange_nibbles),
      format_fault("FP4 elements paired as in ggml blocks", fp4, Format::kFp4, pair_as_ggml),
      format_fault("FP4: first scale of a row used for all its blocks", fp4, Format::kFp4,
                   scale_of_first_block),
      format_fault("FP8: first scale of a block row used for all", fp8, Format::kFp8,
                   scale_of_first_block),
      format_fault("E8M0 exponent bias 126", fp8, Format::kFp8, scales_doubled),
      format_fault("E8M0 scales copied as numbers, hence zero", fp8, Format::kFp8, scales_zeroed),
      format_fault("E4M3 subnormals flushed to zero", fp8, Format::kFp8, subnormals_flushed),
      format_fault("FP8 layers multiply unquantised activations", "activation rounding",
                   Format::kFp8, widened),
      settings_fault("KV rows not rounded to FP8", "KV rounding",
                     [](EngineSettings& settings) { settings.kv_dtype = KvDtype::kBf16; }),
      settings_fault("indexer keys and queries not rounded to FP4",
                     "FP4 and Hadamard of the indexer",
                     [](EngineSettings& settings) { settings.index_dtype = IndexDtype::kBf16; }),
  };
}

}  // namespace ds4::faults

// Parameters of operations from golden cases or plain data.
#pragma once

#include <vector>

#include "engine/ops/ops.h"
#include "tests/unit/engine/golden_case.h"

namespace ds4::golden {

inline weights::Matrix f32_matrix(const std::vector<float>& data, int64_t rows, int64_t cols) {
  return {weights::Matrix::Format::kF32, rows, cols,
          reinterpret_cast<const std::byte*>(data.data()), nullptr};
}

inline ops::MixSettings settings_of(const Case& c, int iterations) {
  return {c.integer("hc_mult"), iterations, static_cast<float>(c.number("hc_eps")),
          static_cast<float>(c.number("norm_eps"))};
}

}  // namespace ds4::golden

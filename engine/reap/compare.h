// How far a stored tensor is from another one: bytes first, then dequantised values, in small
// memory whatever their size.
#pragma once

#include <vector>

#include "engine/weights/checkpoint.h"

namespace ds4::reap {

/// A tensor of a checkpoint, or some of its rows, in the order given.
struct TensorView {
  const weights::Checkpoint* checkpoint = nullptr;
  const weights::TensorRef* tensor = nullptr;
  const std::vector<int>* rows = nullptr;  // null: all
};

/// Same dtype, shape and bytes.
bool identical(const TensorView& a, const TensorView& b);

/// Of vectors of dequantised values: cosine = a.b / (|a| |b|) (1 if both are zero), relative_mae =
/// sum |a - b| / sum |b| (0 if both are zero). Not finite where a value is not.
struct Distance {
  double cosine = 1;
  double relative_mae = 0;
};

/// Whether both are matrices or vectors of floats of the same logical shape; scales are parts of
/// their matrices and never comparable themselves.
bool comparable(const TensorView& a, const TensorView& b);
Distance distance(const TensorView& a, const TensorView& b);

}  // namespace ds4::reap

// Which tensors a synthetic checkpoint has, in the official order and shards (model.md 2.1), its
// config.json and the recipe of every tensor. Names, shapes and numbers only; no bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/weights/dtype.h"
#include "engine/weights/synthetic/spec.h"
#include "engine/weights/synthetic/values.h"

namespace ds4::weights::synthetic {

struct Tensor {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> shape;
  int shard = 0;  // 0: embedding; 1 + l: layer l; then the head; then mtp.0
  Recipe recipe;

  int64_t bytes() const;
};

/// The text of config.json. Its key `ds4_synthetic` holds the checkpoint's name.
std::string config_text(const Spec& spec);

/// Every tensor: shard by shard, within a shard by dtype (I64, F32, BF16, F8_E8M0, F8_E4M3, I8) and
/// then by name.
std::vector<Tensor> layout(const Spec& spec);

}  // namespace ds4::weights::synthetic

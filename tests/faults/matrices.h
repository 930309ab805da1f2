// Walking over the matrices of a loaded model and changing them: what loader faults need.
#pragma once

#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "engine/weights/weights.h"

namespace ds4::faults {

/// Every projection that a checkpoint may store quantised.
inline void each_matrix(weights::ModelWeights& model,
                        const std::function<void(weights::Matrix&)>& change) {
  const auto expert = [&](weights::Expert& e) {
    for (weights::Matrix* w : {&e.w1, &e.w2, &e.w3}) change(*w);
  };
  const auto layer = [&](weights::Layer& l) {
    for (weights::Matrix* w :
         {&l.attn.wq_a, &l.attn.wq_b, &l.attn.wkv, &l.attn.wo_a, &l.attn.wo_b}) {
      change(*w);
    }
    if (l.attn.indexer) change(l.attn.indexer->wq_b);
    for (weights::Expert& e : l.ffn.experts) expert(e);
    expert(l.ffn.shared);
  };
  for (weights::Layer& l : model.layers) layer(l);
  if (model.mtp) layer(model.mtp->block);
}

/// A writable copy of the matrix's bytes, which it uses from now on.
inline std::byte* own_data(weights::ModelWeights& model, weights::Matrix& w) {
  const auto bytes = static_cast<size_t>(w.rows * w.row_bytes());
  auto copy = std::make_shared<std::vector<std::byte>>(w.data, w.data + bytes);
  model.storage.push_back(copy);
  w.data = copy->data();
  return copy->data();
}

/// The same for its scales.
inline uint8_t* own_scales(weights::ModelWeights& model, weights::Matrix& w) {
  const auto bytes = static_cast<size_t>(w.stored_bytes() - w.rows * w.row_bytes());
  auto copy = std::make_shared<std::vector<uint8_t>>(w.scales, w.scales + bytes);
  model.storage.push_back(copy);
  w.scales = copy->data();
  return copy->data();
}

}  // namespace ds4::faults

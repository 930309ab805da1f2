// The activations of one chunk, allocated once per engine and reused by every layer. Names follow
// the symbols of model.md 3; shapes are [n, cols] with n up to the chunk capacity.
#pragma once

#include <cstdint>

#include "engine/ops/ops.h"
#include "engine/weights/weights.h"

namespace ds4::model {

struct Workspace {
  ops::Ids tokens;           // [n, 1]
  ops::Floats plain_angles;  // rotation tables: layers without a ratio (theta 10000)
  ops::Floats yarn_angles;   // and with one
  ops::Values h;             // streams [n, m * d]
  ops::Floats mix;           // pre, post, C of the current sublayer
  ops::Values x;             // sublayer input [n, d]
  ops::Values y;             // sublayer output [n, d]

  ops::Values qr;       // [n, q_lora_rank]
  ops::Values q;        // [n, H * D], then the heads' outputs
  ops::Values kv;       // [n, D]
  ops::Values u;        // [n, groups * o_lora_rank]
  ops::Floats pool_kv;  // compressor projections [n, width]; `cols` is set per layer
  ops::Floats pool_score;
  ops::Floats key_kv;  // the same of the indexer's compressor
  ops::Floats key_score;
  ops::Values iq;             // [n, index heads * index dim]
  ops::Values index_weights;  // [n, index heads]
  ops::Ids selected;          // [n, index_topk]

  ops::Floats router;         // [n, experts]; `cols` is set per layer
  ops::Ids expert_ids;        // [n, experts per token]
  ops::Floats route_weights;  // [n, experts per token]

  ops::Floats logits;  // [kLogitRows, vocab]

  /// Logit rows held at once; all positions of a chunk are read in portions.
  static constexpr int kLogitRows = 16;

  int capacity = 0;  // rows
  ops::Buffer memory;
};

/// Bytes a workspace of `capacity` rows takes. `experts`: the most experts any layer has.
int64_t workspace_bytes(const weights::ModelConfig& config, int experts, int capacity,
                        int value_bytes);

Workspace make_workspace(ops::Backend& backend, const weights::ModelConfig& config, int experts,
                         int capacity);

}  // namespace ds4::model

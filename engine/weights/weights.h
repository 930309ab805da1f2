// A whole model as the forward pass sees it: matrices in their stored format, vectors widened to
// float. Made once from a checkpoint, immutable afterwards; it keeps the mapped files alive.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/weights/config.h"
#include "engine/weights/matrix.h"

namespace ds4::weights {

/// Parameters around one sublayer (model.md 3.2); m = hc_mult, d = hidden_size.
struct HyperConnection {
  Matrix fn;                 // [m(m+2), m*d], BF16 or F32
  std::vector<float> base;   // [m(m+2)]
  std::vector<float> scale;  // [3]
};

/// Parameters of the stream mix in front of the head (model.md 3.8).
struct HeadMix {
  Matrix fn;                 // [m, m*d], BF16 or F32
  std::vector<float> base;   // [m]
  std::vector<float> scale;  // [1]
};

/// model.md 3.5; D = row_dim, width = 2D for ratio 4, else D.
struct Compressor {
  int ratio = 0;
  int row_dim = 0;
  int width = 0;
  std::vector<float> ape;   // [ratio, width]
  Matrix wkv;               // [width, d], BF16 or F32
  Matrix wgate;             // [width, d], BF16 or F32
  std::vector<float> norm;  // [D]
};

/// model.md 3.6.
struct Indexer {
  Matrix wq_b;          // [index_n_heads * index_head_dim, q_lora_rank]
  Matrix weights_proj;  // [index_n_heads, d], BF16 or F32
  Compressor compressor;
};

/// model.md 3.4; H = heads, D = head_dim, G = o_groups.
struct Attention {
  std::vector<float> sink;     // [H]
  std::vector<float> q_norm;   // [q_lora_rank]
  std::vector<float> kv_norm;  // [D]
  Matrix wq_a;                 // [q_lora_rank, d]
  Matrix wq_b;                 // [H*D, q_lora_rank]
  Matrix wkv;                  // [D, d]
  Matrix wo_a;                 // [G*o_lora_rank, H*D/G]; rows g*o_lora_rank.. belong to group g
  Matrix wo_b;                 // [d, G*o_lora_rank]
  std::optional<Compressor> compressor;  // ratio != 0
  std::optional<Indexer> indexer;        // ratio 4
};

/// One gated expert: w1 gate, w3 up [inter, d]; w2 down [d, inter].
struct Expert {
  Matrix w1, w2, w3;
};

/// model.md 3.7; E = experts of this layer.
struct Moe {
  Matrix gate;              // [E, d], BF16 or F32
  std::vector<float> bias;  // [E]; empty in hash layers
  std::vector<int32_t>
      tid2eid;  // [vocab_size, num_experts_per_tok], each in 0..E-1; hash layers only
  std::vector<Expert> experts;  // [E]
  Expert shared;                // inter = n_shared_experts * moe_intermediate_size
  int n_experts() const { return static_cast<int>(experts.size()); }
};

struct Layer {
  int ratio = 0;                 // 0 window only, 4 CSA, else HCA
  bool hashed = false;           // routed by token id
  std::vector<float> attn_norm;  // [d]
  std::vector<float> ffn_norm;   // [d]
  HyperConnection hc_attn;
  HyperConnection hc_ffn;
  Attention attn;
  Moe ffn;
};

/// The classic MTP block (model.md 5.1).
struct ClassicMtp {
  Layer block;
  Matrix e_proj;                          // [d, d]
  Matrix h_proj;                          // [d, d]
  std::vector<float> enorm, hnorm, norm;  // [d]
  HeadMix hc_head;
};

/// The chained MTP blocks of the DSpark flavour (model.md 5.4); T = target layers. The confidence
/// head is checked with the rest but not kept: drafts have a fixed length.
struct Dspark {
  std::vector<Layer> blocks;
  Matrix main_proj;                    // [d, T*d]
  std::vector<float> main_norm, norm;  // [d]
  HeadMix hc_head;
  Matrix markov_w1;  // [vocab, rank], BF16 or F32
  Matrix markov_w2;  // [vocab, rank], BF16 or F32
};

struct OpenedModel;  // structure.h
class ByteFeed;      // byte_feed.h

struct ModelWeights {
  ModelConfig config;
  std::string identity;     // model_identity() of structure.h
  Matrix embed;             // [vocab, d], BF16 or F32
  Matrix head;              // [vocab, d], BF16 or F32
  std::vector<float> norm;  // [d]
  HeadMix hc_head;
  std::vector<Layer> layers;
  std::optional<ClassicMtp> mtp;  // at most one of the two
  std::optional<Dspark> dspark;

  /// Mapped files and realigned copies the matrices point into.
  std::vector<std::shared_ptr<const void>> storage;
};

/// Loads, or generates, and checks a checkpoint (folder or name): structure (model.md 1.3), shapes,
/// dtypes, tid2eid ranges, scales without NaN. Throws Error(kCheckpoint) naming file and tensor.
ModelWeights load_weights(const std::filesystem::path& checkpoint);
/// The same for one whose headers have been read.
ModelWeights load_weights(OpenedModel opened);

/// The same for who takes the matrices' bytes from `feed`, a feed of this checkpoint: vectors are
/// read through it and checked, matrices tell shape, format and an address to ask it for. Nobody
/// may read through that address.
ModelWeights load_vectors(const OpenedModel& opened, const ByteFeed& feed);
/// The same without reading any data: vectors of zeros.
ModelWeights model_shapes(const OpenedModel& opened);

}  // namespace ds4::weights

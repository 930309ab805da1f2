// Faults of parameters after loading: ignored, mixed up or taken from the wrong key (traps T5, T7,
// T8, T12, T15, T24, T29).
#include <algorithm>
#include <numeric>

#include "tests/faults/fault.h"
#include "tests/faults/matrices.h"

namespace ds4::faults {
namespace {

using weights::Compressor;
using weights::Layer;
using weights::ModelWeights;

Fault model_fault(std::string name, std::string mechanism,
                  const std::function<void(ModelWeights&)>& change) {
  Fault fault{std::move(name), std::move(mechanism), Seam::kWeights, {}, {}, {}};
  fault.spoil = [change](ModelWeights& model, EngineSettings&) { change(model); };
  return fault;
}

Fault layer_fault(std::string name, std::string mechanism,
                  const std::function<void(ModelWeights&, Layer&)>& change) {
  return model_fault(std::move(name), std::move(mechanism), [change](ModelWeights& model) {
    for (Layer& layer : model.layers) change(model, layer);
  });
}

Fault compressor_fault(std::string name, std::string mechanism,
                       const std::function<void(ModelWeights&, Compressor&)>& change) {
  return layer_fault(std::move(name), std::move(mechanism),
                     [change](ModelWeights& model, Layer& layer) {
                       if (layer.attn.compressor) change(model, *layer.attn.compressor);
                       if (layer.attn.indexer) change(model, layer.attn.indexer->compressor);
                     });
}

void exchange_halves(ModelWeights& model, Compressor& c) {
  if (c.ratio != 4) return;
  for (weights::Matrix* w : {&c.wkv, &c.wgate}) {
    std::byte* data = own_data(model, *w);
    std::rotate(data, data + w->rows / 2 * w->row_bytes(), data + w->rows * w->row_bytes());
  }
  for (int row = 0; row < c.ratio; ++row) {
    const auto begin = c.ape.begin() + row * c.width;
    std::rotate(begin, begin + c.row_dim, begin + c.width);
  }
}

// Tensor names sorted as strings put expert 10 before expert 2.
void experts_in_string_order(ModelWeights&, Layer& layer) {
  std::vector<size_t> order(layer.ffn.experts.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [](size_t a, size_t b) { return std::to_string(a) < std::to_string(b); });
  std::vector<weights::Expert> sorted;
  for (const size_t expert : order) sorted.push_back(layer.ffn.experts[expert]);
  layer.ffn.experts = std::move(sorted);
}

// Rows of the rotated dims permuted as engines that rotate half against half want them, for the
// queries only.
void queries_half_split(ModelWeights& model, Layer& layer) {
  weights::Matrix& w = layer.attn.wq_b;
  const std::vector<std::byte> before(w.data, w.data + w.rows * w.row_bytes());
  std::byte* data = own_data(model, w);
  const int64_t dim = model.config.head_dim;
  const int64_t rope = model.config.qk_rope_head_dim;
  for (int64_t head = 0; head < model.config.num_attention_heads; ++head) {
    const int64_t first = (head + 1) * dim - rope;
    for (int64_t i = 0; i < rope; ++i) {
      const int64_t from = i % 2 * (rope / 2) + i / 2;
      std::copy_n(before.data() + (first + from) * w.row_bytes(), w.row_bytes(),
                  data + (first + i) * w.row_bytes());
    }
  }
}

// Groups of heads read in rotated order by the first output projection.
void groups_rotated(ModelWeights& model, Layer& layer) {
  weights::Matrix& w = layer.attn.wo_a;
  const int64_t rows = model.config.o_lora_rank;
  std::byte* data = own_data(model, w);
  std::rotate(data, data + rows * w.row_bytes(), data + w.rows * w.row_bytes());
  // A group's scales go with it where groups and scale blocks have the same borders.
  if (w.format != weights::Matrix::Format::kFp8 || rows % weights::kFp8Block != 0) return;
  uint8_t* scales = own_scales(model, w);
  const int64_t group = rows / weights::kFp8Block * w.scale_cols();
  std::rotate(scales, scales + group, scales + model.config.o_groups * group);
}

}  // namespace

std::vector<Fault> parameter_faults() {
  return {
      model_fault("RMS norm epsilon 1e-5", "norm epsilon",
                  [](ModelWeights& model) { model.config.rms_norm_eps = 1e-5; }),
      model_fault("no YaRN", "YaRN",
                  [](ModelWeights& model) { model.config.rope_scaling.reset(); }),
      model_fault(
          "rope_theta in compressed layers", "theta of compressed layers",
          [](ModelWeights& model) { model.config.compress_rope_theta = model.config.rope_theta; }),
      model_fault("routed_scaling_factor ignored", "route scale",
                  [](ModelWeights& model) { model.config.routed_scaling_factor = 1; }),
      model_fault("one row fewer selected", "indexer",
                  [](ModelWeights& model) {
                    if (model.config.index_topk) --model.config.index_topk;
                  }),
      model_fault("one Sinkhorn iteration", "mHC Sinkhorn",
                  [](ModelWeights& model) { model.config.hc_sinkhorn_iters = 1; }),
      model_fault("head averages the streams", "head mix",
                  [](ModelWeights& model) {
                    const weights::Matrix& fn = model.hc_head.fn;
                    auto zeros = std::make_shared<std::vector<std::byte>>(
                        static_cast<size_t>(fn.rows * fn.row_bytes()));
                    model.hc_head.fn.data = zeros->data();
                    model.storage.push_back(zeros);
                    std::fill(model.hc_head.base.begin(), model.hc_head.base.end(), 0.0f);
                  }),
      layer_fault("gain of the query norm ignored", "embedding, norms, projections, scores, head",
                  [](ModelWeights&, Layer& layer) {
                    std::fill(layer.attn.q_norm.begin(), layer.attn.q_norm.end(), 1.0f);
                  }),
      layer_fault("attention sinks ignored", "attention sink",
                  [](ModelWeights&, Layer& layer) {
                    std::fill(layer.attn.sink.begin(), layer.attn.sink.end(), -1e30f);
                  }),
      layer_fault("query rotation permuted as for half-split pairs", "RoPE", queries_half_split),
      layer_fault("output groups in the wrong order", "output groups", groups_rotated),
      layer_fault("scales of pre and post exchanged", "mHC mix",
                  [](ModelWeights&, Layer& layer) {
                    std::swap(layer.hc_attn.scale[0], layer.hc_attn.scale[1]);
                    std::swap(layer.hc_ffn.scale[0], layer.hc_ffn.scale[1]);
                  }),
      layer_fault("router bias ignored", "router bias",
                  [](ModelWeights&, Layer& layer) {
                    std::fill(layer.ffn.bias.begin(), layer.ffn.bias.end(), 0.0f);
                  }),
      layer_fault("experts loaded in string order", "expert order", experts_in_string_order),
      layer_fault("routed gate and up matrices exchanged", "routed experts",
                  [](ModelWeights&, Layer& layer) {
                    for (weights::Expert& e : layer.ffn.experts) std::swap(e.w1, e.w3);
                  }),
      layer_fault("hash table read at the next token", "hash routing",
                  [](ModelWeights& model, Layer& layer) {
                    std::vector<int32_t>& table = layer.ffn.tid2eid;
                    if (table.empty()) return;
                    std::rotate(table.begin(), table.begin() + model.config.num_experts_per_tok,
                                table.end());
                  }),
      model_fault("MTP: embedding and state projections exchanged", "MTP block",
                  [](ModelWeights& model) {
                    if (model.mtp) std::swap(model.mtp->e_proj, model.mtp->h_proj);
                  }),
      model_fault("MTP: the backbone's final norm", "MTP block",
                  [](ModelWeights& model) {
                    if (model.mtp) model.mtp->norm = model.norm;
                  }),
      model_fault("MTP: the backbone's head mix", "MTP block",
                  [](ModelWeights& model) {
                    if (model.mtp) model.mtp->hc_head = model.hc_head;
                  }),
      compressor_fault("ape not added", "ape",
                       [](ModelWeights&, Compressor& c) {
                         // -10000 is how models without an overlap say so; not part of this fault.
                         for (float& a : c.ape) a = a < -1000 ? a : 0;
                       }),
      compressor_fault("ape row of the next position", "ape",
                       [](ModelWeights&, Compressor& c) {
                         std::rotate(c.ape.begin(), c.ape.begin() + c.width, c.ape.end());
                       }),
      compressor_fault("previous block not read", "compressor overlap",
                       [](ModelWeights&, Compressor& c) {
                         if (c.ratio != 4) return;
                         for (size_t i = 0; i < c.ape.size(); ++i) {
                           const bool previous = static_cast<int>(i) % c.width < c.row_dim;
                           if (previous) c.ape[i] = -10000;
                         }
                       }),
      compressor_fault("overlap halves exchanged", "CSA", exchange_halves),
  };
}

}  // namespace ds4::faults

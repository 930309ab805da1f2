#include "engine/ops/cuda/weight_plan.h"

#include <algorithm>

#include "engine/base/check.h"

namespace ds4::ops::cuda {
namespace {
using weights::Matrix;
using Layout = WeightPiece::Layout;

constexpr int64_t kAlign = 256;
constexpr int64_t kTileRows = 16;
constexpr int64_t kGroup = 128;

int64_t data_bytes(const Matrix& w) {
  return w.rows * w.row_bytes();
}

int64_t scale_bytes(const Matrix& w) {
  return w.scales ? w.stored_bytes() - data_bytes(w) : 0;
}

const std::byte* scale_address(const Matrix& w) {
  return reinterpret_cast<const std::byte*>(w.scales);
}

// k is cut so that about 2,000 warps are at work, 16 for each multiprocessor of the largest GPUs
// (docs/perf/gpu.md); BF16 always 8 times. By shape alone: the cut decides the order of summation,
// which must be the same for every number of columns and on every GPU.
int slices_for(const PlannedProduct& product, int64_t stacks) {
  const int64_t at_work = product.rows / kTileRows * std::min<int64_t>(stacks, 6);
  const int64_t groups = product.cols / kGroup;
  int slices = 1;
  while (slices < 8 && 2 * slices <= groups &&
         (product.format == Matrix::Format::kBf16 || at_work * 2 * slices <= 2112)) {
    slices *= 2;
  }
  return slices;
}

bool all_quantised(const std::vector<const Matrix*>& matrices) {
  for (const Matrix* w : matrices) DS4_CHECK(w->quantised() == matrices.front()->quantised());
  return matrices.front()->quantised();
}

}  // namespace

bool ordinary_scales(std::span<const std::byte> scales) {
  // Without a way out of the loop the compiler takes 16 and more at a time.
  unsigned char extreme = 0;
  for (const std::byte scale : scales) {
    const auto s = static_cast<unsigned char>(scale);
    extreme |= static_cast<unsigned char>(s < 1) | static_cast<unsigned char>(s > 200);
  }
  return extreme == 0;
}

int64_t WeightPlan::take(int64_t& end, int64_t bytes) {
  const int64_t at = end;
  end += (std::max<int64_t>(bytes, 1) + kAlign - 1) / kAlign * kAlign;
  return at;
}

void WeightPlan::add_bytes(VectorKey key, int64_t bytes) {
  if (vectors_.contains(key)) return;
  const int64_t at = take(bytes);
  vectors_.emplace(key, at);
  pieces_.push_back({.from = static_cast<const std::byte*>(key.first), .bytes = bytes, .at = at});
}

PlannedMatrix WeightPlan::place(const Matrix& w) {
  PlannedMatrix placed{.matrix = w, .data = take(data_bytes(w))};
  pieces_.push_back({.from = w.data, .bytes = data_bytes(w), .at = placed.data});
  if (w.scales) {
    placed.scales = take(scale_bytes(w));
    pieces_.push_back({.from = scale_address(w), .bytes = scale_bytes(w), .at = placed.scales});
  }
  return placed;
}

void WeightPlan::add_plain(const Matrix& w) {
  if (!plain_.contains(w.data)) plain_.emplace(w.data, place(w));
}

bool WeightPlan::tileable(const Matrices& matrices, bool quantise) const {
  if (!tiles_) return false;
  const Matrix& first = *matrices.front();
  if (first.format == Matrix::Format::kF32) return false;
  if (first.format == Matrix::Format::kFp4 && !quantise) return false;
  return std::all_of(matrices.begin(), matrices.end(), [&](const Matrix* w) {
    return w->format == first.format && w->rows == first.rows && w->cols == first.cols &&
           w->cols % kGroup == 0 && w->rows % kTileRows == 0 && (!w->scales || ordinary_(*w));
  });
}

PlannedProduct WeightPlan::tiled(const Matrices& matrices, int per_stack, int groups) {
  const Matrix& first = *matrices.front();
  const auto count = static_cast<int64_t>(matrices.size());
  const int64_t bytes = data_bytes(first);
  const int64_t scales = scale_bytes(first);
  const bool fp4 = first.format == Matrix::Format::kFp4;
  PlannedProduct p;
  p.format = first.format;
  p.tiled = true;
  p.rows = first.rows * per_stack / groups;
  p.cols = first.cols;
  p.weights = take(bytes * count);
  p.scales = take(scales * count);
  p.stride = bytes * per_stack / groups;
  p.scale_stride = scales * per_stack / groups;
  p.slices = slices_for(p, groups > 1 ? groups : count / per_stack);
  for (int64_t i = 0; i < count; ++i) {
    const Matrix& w = *matrices[static_cast<size_t>(i)];
    pieces_.push_back({w.data, bytes, p.weights + i * bytes, fp4 ? Layout::kPlanes : Layout::kUnits,
                       w.row_bytes(), w.cols, false});
    if (!w.scales) continue;
    pieces_.push_back({scale_address(w), scales, p.scales + i * scales,
                       fp4 ? Layout::kFp4Scales : Layout::kStored, w.scale_cols(), w.cols, true});
  }
  return p;
}

PlannedProduct WeightPlan::plain_product(const Matrices& matrices, int groups) {
  PlannedProduct p;
  p.format = matrices.front()->format;
  p.rows = matrices.front()->rows / groups;
  p.cols = matrices.front()->cols;
  for (const Matrix* w : matrices) {
    DS4_CHECK(w->rows == matrices.front()->rows && w->cols == p.cols);
    p.matrices.push_back(place(*w));
  }
  // Rows of a group lie anywhere within FP8 scale blocks, so groups are addressed by row.
  for (int g = 1; g < groups; ++g) {
    p.matrices.push_back(p.matrices.front());
    p.matrices.back().first_row = g * p.rows;
  }
  p.table = take(table_bytes_, static_cast<int64_t>(p.matrices.size()) * kDescriptionBytes);
  return p;
}

void WeightPlan::add_product(const Matrix& w, int groups, bool quantise) {
  const ProductKey key{w.data, groups, quantise};
  if (products_.contains(key)) return;
  const int64_t rows = w.rows / groups;
  const bool whole_blocks =
      groups == 1 ||
      rows % (w.format == Matrix::Format::kFp8 ? weights::kFp8Block : kTileRows) == 0;
  PlannedProduct p = whole_blocks && tileable({&w}, quantise) ? tiled({&w}, 1, groups)
                                                              : plain_product({&w}, groups);
  p.quantise = quantise;
  products_.emplace(key, std::move(p));
}

PlannedProduct WeightPlan::product(const Matrices& matrices, bool quantise) {
  PlannedProduct p =
      tileable(matrices, quantise) ? tiled(matrices, 1, 1) : plain_product(matrices, 1);
  p.quantise = quantise;
  return p;
}

void WeightPlan::add_stack(std::span<const weights::Expert> experts) {
  const void* key = experts[0].w1.data;
  if (stacks_.contains(key)) return;
  PlannedStack stack;
  stack.inter = experts[0].w1.rows;
  Matrices gates;
  Matrices ups;
  Matrices both;
  Matrices downs;
  for (const weights::Expert& e : experts) {
    gates.push_back(&e.w1);
    ups.push_back(&e.w3);
    both.push_back(&e.w1);
    both.push_back(&e.w3);
    downs.push_back(&e.w2);
  }
  const Matrix& first = *both.front();
  const bool joins = first.format != Matrix::Format::kFp8 || first.rows % weights::kFp8Block == 0;
  if (joins && tileable(both, first.quantised())) {
    stack.up.push_back(tiled(both, 2, 1));
    stack.up.back().quantise = first.quantised();
  } else {
    stack.up.push_back(product(gates, all_quantised(gates)));
    stack.up.push_back(product(ups, all_quantised(ups)));
  }
  stack.down = product(downs, all_quantised(downs));
  stacks_.emplace(key, std::move(stack));
}

void WeightPlan::add_mix(const Matrix& fn, std::span<const float> base,
                         std::span<const float> scale) {
  add_plain(fn);
  add_vector(base);
  add_vector(scale);
}

void WeightPlan::add(const weights::Compressor& compressor) {
  add_product(compressor.wkv, 1, false);
  add_product(compressor.wgate, 1, false);
  add_vector(std::span(compressor.ape));
  add_vector(std::span(compressor.norm));
}

void WeightPlan::add(const weights::Layer& layer, int groups) {
  const weights::Attention& attn = layer.attn;
  add_vector(std::span(layer.attn_norm));
  add_vector(std::span(layer.ffn_norm));
  add_mix(layer.hc_attn.fn, layer.hc_attn.base, layer.hc_attn.scale);
  add_mix(layer.hc_ffn.fn, layer.hc_ffn.base, layer.hc_ffn.scale);
  add_vector(std::span(attn.sink));
  add_vector(std::span(attn.q_norm));
  add_vector(std::span(attn.kv_norm));
  for (const Matrix* w : {&attn.wq_a, &attn.wq_b, &attn.wkv, &attn.wo_b}) {
    add_product(*w, 1, w->quantised());
  }
  add_product(attn.wo_a, groups, false);
  if (attn.compressor) add(*attn.compressor);
  if (attn.indexer) {
    for (const Matrix* w : {&attn.indexer->wq_b, &attn.indexer->weights_proj}) {
      add_product(*w, 1, w->quantised());
    }
    add(attn.indexer->compressor);
  }
  add_product(layer.ffn.gate, 1, false);
  if (!layer.ffn.bias.empty()) add_vector(std::span(layer.ffn.bias));
  if (!layer.ffn.tid2eid.empty()) add_vector(std::span(layer.ffn.tid2eid));
  add_stack(layer.ffn.experts);
  add_stack({&layer.ffn.shared, 1});
}

void WeightPlan::add(const weights::ModelWeights& model) {
  const int groups = model.config.o_groups;
  add_plain(model.embed);
  for (const weights::Layer& layer : model.layers) add(layer, groups);
  add_product(model.head, 1, false);
  add_vector(std::span(model.norm));
  add_mix(model.hc_head.fn, model.hc_head.base, model.hc_head.scale);
  if (model.mtp) {
    const weights::ClassicMtp& mtp = *model.mtp;
    add(mtp.block, groups);
    add_product(mtp.e_proj, 1, mtp.e_proj.quantised());
    add_product(mtp.h_proj, 1, mtp.h_proj.quantised());
    for (const auto* gain : {&mtp.enorm, &mtp.hnorm, &mtp.norm}) add_vector(std::span(*gain));
    add_mix(mtp.hc_head.fn, mtp.hc_head.base, mtp.hc_head.scale);
  }
  if (model.dspark) {
    const weights::Dspark& dspark = *model.dspark;
    for (const weights::Layer& block : dspark.blocks) add(block, groups);
    add_product(dspark.main_proj, 1, dspark.main_proj.quantised());
    for (const auto* gain : {&dspark.main_norm, &dspark.norm}) add_vector(std::span(*gain));
    add_mix(dspark.hc_head.fn, dspark.hc_head.base, dspark.hc_head.scale);
    add_plain(dspark.markov_w1);
    add_plain(dspark.markov_w2);
  }
}

}  // namespace ds4::ops::cuda

// The model's parameters on the device, found by the address that names them (weights/matrix.h). A
// whole model comes through load(), into one block; single ones that no plan knew of come from host
// memory at their first use. Host code only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "engine/api/session.h"
#include "engine/device/memory.h"
#include "engine/ops/cuda/kernels.h"
#include "engine/ops/cuda/packed_weights.h"
#include "engine/ops/cuda/weight_plan.h"
#include "engine/ops/views.h"
#include "engine/weights/byte_feed.h"
#include "engine/weights/weights.h"

namespace ds4::ops::cuda {

/// One matrix, or `count` stacked ones of equal shape, ready to be multiplied.
struct Product {
  int64_t rows = 0, cols = 0;  // of one matrix
  bool tiled = false;          // tensor cores; else the plain product
  bool quantise = false;       // x passes Q8 first
  Tiles tiles;
  const PlainMatrix* table = nullptr;  // plain: one per matrix, in device memory
};

/// The gated experts of a layer, or its shared expert as a stack of one.
struct ExpertStack {
  int64_t inter = 0;
  std::vector<Product> up;  // w1 over w3 in one product where possible, else the two
  Product down;
};

class WeightStore {
 public:
  using Allocate = std::function<Buffer(int64_t bytes)>;
  /// `e4m3`: the GPU multiplies FP8 operands. `strict`: the reference precision; otherwise nothing
  /// is tiled. `residency`: of what load() brings. `allocate`: where other parameters go.
  WeightStore(cudaStream_t stream, bool strict, bool e4m3, Residency residency, Allocate allocate);

  /// How products of quantised FP8 weights take x.
  Arrange fp8_arrange() const { return e4m3_ ? Arrange::kE4m3 : Arrange::kF16; }

  /// Brings a whole model into one block (weight_load.cpp). Staging takes at most 256 MiB, half of
  /// it pinned, half on the device. Throws Error(kMachine) when the block does not fit, and what
  /// the feed throws. Residency::kMapped: finds the block in a file instead, which is written at
  /// first use; throws as PackedWeights and device::HostView.
  void load(const weights::ModelWeights& model, const weights::Checkpoint& checkpoint,
            const weights::ByteFeed& feed, const LoadProgress& progress);

  /// Parameters must keep their address and content while the store lives.
  const float* vector(std::span<const float> values);
  const int32_t* vector(std::span<const int32_t> values);
  /// The matrix as stored.
  const PlainMatrix& plain(const weights::Matrix& w);
  /// For y = W x, or with several groups y_g = W[rows of group g] x_g.
  const Product& product(const weights::Matrix& w, int groups, bool quantise);
  const ExpertStack& experts(const std::vector<weights::Expert>& experts);
  const ExpertStack& shared(const weights::Expert& expert);

 private:
  template <class T>
  const T* copy(std::span<const T> values);
  const ExpertStack& stack(std::span<const weights::Expert> experts);
  /// Plans and uploads what `add` adds to a plan.
  template <class Add>
  void take_loose(const Add& add);
  /// The pieces into `block`. Pieces whose scales turn out not to be ordinary go into `odd`.
  void fill(const WeightPlan& plan, const weights::ByteFeed& feed, uint8_t* block,
            const LoadProgress& progress, std::set<const std::byte*>& odd);
  /// Bytes [first, first + bytes) of a piece from host memory, through `staging` where they are
  /// repacked. Stream-ordered.
  void upload(const WeightPiece& piece, int64_t first, int64_t bytes, const std::byte* from,
              uint8_t* staging, uint8_t* block);
  void map(const WeightPlan& plan, const weights::Checkpoint& checkpoint,
           const weights::ByteFeed& feed, const LoadProgress& progress);
  /// A plan's block, which is only read, and where its tables go.
  struct Place {
    const uint8_t* block = nullptr;
    uint8_t* tables = nullptr;
  };
  /// From now on the plan's parameters are found.
  void adopt(const WeightPlan& plan, const Place& place);
  PlainMatrix resolve(const PlannedMatrix& planned, const uint8_t* block) const;
  Product resolve(const PlannedProduct& planned, const Place& place);
  Feed feed_of(const PlannedProduct& planned) const;

  cudaStream_t stream_;
  const bool strict_;
  const bool e4m3_;
  const Residency residency_;
  const Allocate allocate_;
  device::Memory block_;       // of load(), tables behind it
  PackedWeights packed_;       // or in its stead, and the tables alone in block_
  device::HostView view_;      // of packed_
  std::vector<Buffer> loose_;  // of the others
  std::map<WeightPlan::VectorKey, const uint8_t*> vectors_;
  std::map<const void*, PlainMatrix> plain_;
  std::map<WeightPlan::ProductKey, Product> products_;
  std::map<const void*, ExpertStack> stacks_;
};

}  // namespace ds4::ops::cuda

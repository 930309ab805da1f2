// The model's parameters on the device, copied and repacked once, found again by the address they
// have in host memory. Host code only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <tuple>
#include <vector>

#include "engine/device/memory.h"
#include "engine/ops/cuda/kernels.h"
#include "engine/weights/weights.h"

namespace ds4::ops::cuda {

/// One matrix, or `count` stacked ones of equal shape, ready to be multiplied.
struct Product {
  int64_t rows = 0, cols = 0;  // of one matrix
  bool tiled = false;          // tensor cores; else the plain product
  bool quantise = false;       // x passes Q8 first
  Tiles tiles;
  const PlainMatrix* table = nullptr;  // plain: one per matrix, in device memory
  std::vector<device::Memory> memory;
};

/// The gated experts of a layer, or its shared expert as a stack of one.
struct ExpertStack {
  int64_t inter = 0;
  std::vector<Product> up;  // w1 over w3 in one product where possible, else the two
  Product down;
};

class WeightStore {
 public:
  /// `e4m3`: the GPU multiplies FP8 operands. `strict`: the reference precision; otherwise nothing
  /// is tiled.
  WeightStore(cudaStream_t stream, bool strict, bool e4m3);

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
  using Matrices = std::vector<const weights::Matrix*>;

  template <class T>
  const T* copy(std::span<const T> values);
  device::Memory upload(const void* from, int64_t bytes);
  PlainMatrix upload_plain(const weights::Matrix& w, std::vector<device::Memory>& memory);
  /// How stacks of these matrices can be tiled; false when they cannot.
  bool tileable(const Matrices& matrices, bool quantise, Feed& feed) const;
  /// Stack i is the matrices i * per_stack .. laid over each other.
  Product make_tiled(const Matrices& matrices, int per_stack, int groups, Feed feed);
  Product make_plain(const Matrices& matrices, int groups);
  Product make(const Matrices& matrices, bool quantise);
  ExpertStack make_experts(std::span<const weights::Expert> experts);
  void pack(const weights::Matrix& w, Feed feed, uint8_t* tiles, uint8_t* scales);

  cudaStream_t stream_;
  const bool strict_;
  const bool e4m3_;
  device::Memory staging_;
  std::map<std::pair<const void*, size_t>, device::Memory> vectors_;
  std::map<const void*, std::pair<PlainMatrix, std::vector<device::Memory>>> plain_;
  std::map<std::tuple<const void*, int, bool>, Product> products_;
  std::map<const void*, ExpertStack> experts_;
};

}  // namespace ds4::ops::cuda

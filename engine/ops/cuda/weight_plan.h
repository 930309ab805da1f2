// Where each parameter of a model lies on the GPU and in which layout, before anything is allocated
// or read: offsets into one block, and into a small one of tables that hold addresses. Arithmetic
// on the host, in every build; the bytes are moved by weight_store.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/weights/weights.h"

namespace ds4::ops::cuda {

/// Stored bytes and their place in the block.
struct WeightPiece {
  enum class Layout : uint8_t {
    kStored,     // as they are
    kUnits,      // FP8 and BF16 tiles (repack.cu)
    kPlanes,     // MXFP4 tiles
    kFp4Scales,  // their scales
  };
  const std::byte* from = nullptr;
  int64_t bytes = 0;
  int64_t at = 0;
  Layout layout = Layout::kStored;
  int64_t row_bytes = 0;         // of what is repacked, 16 rows at a time
  int64_t cols = 0;              // of the matrix
  bool scales_of_tiles = false;  // tiles multiply ordinary_scales() only

  /// Repacked pieces may be cut at multiples of this.
  int64_t grain() const { return layout == Layout::kStored ? 1 : 16 * row_bytes; }
};

/// Scales that tiles can multiply: they are read as exponent bits. Others, which no real checkpoint
/// has, keep their matrices on the plain path.
bool ordinary_scales(std::span<const std::byte> scales);

/// A matrix as stored. Offsets into the block; `scales` -1: none.
struct PlannedMatrix {
  weights::Matrix matrix;
  int64_t data = 0;
  int64_t scales = -1;
  int64_t first_row = 0;  // where a group of its rows begins
};

/// One matrix, or several stacked ones of equal shape, for y = W x.
struct PlannedProduct {
  weights::Matrix::Format format = weights::Matrix::Format::kF32;
  int64_t rows = 0, cols = 0;  // of one matrix
  bool tiled = false;          // tensor cores; else the plain product
  bool quantise = false;       // x passes Q8 first
  // Tiled: offsets, bytes from matrix to matrix, in how many parts k is summed.
  int64_t weights = 0, scales = 0, stride = 0, scale_stride = 0;
  int slices = 1;
  // Plain: one per matrix, and where among the tables their descriptions are.
  std::vector<PlannedMatrix> matrices;
  int64_t table = 0;
};

/// The gated experts of a layer, or its shared expert as a stack of one.
struct PlannedStack {
  int64_t inter = 0;
  std::vector<PlannedProduct> up;  // w1 over w3 in one product where possible, else the two
  PlannedProduct down;
};

/// Room for the description of a plain matrix in device memory.
inline constexpr int64_t kDescriptionBytes = 64;

class WeightPlan {
 public:
  using Ordinary = std::function<bool(const weights::Matrix&)>;
  using VectorKey = std::pair<const void*, size_t>;       // address, elements
  using ProductKey = std::tuple<const void*, int, bool>;  // address, groups, quantise
  /// `tiles`: false where nothing is tiled (no reference precision). `ordinary`: whether the scales
  /// of a matrix are ordinary_scales().
  WeightPlan(bool tiles, Ordinary ordinary) : tiles_(tiles), ordinary_(std::move(ordinary)) {}

  /// Everything that the forward pass and the model's drafter ask for, in the layout they ask for.
  void add(const weights::ModelWeights& model);

  /// Single ones; what is there already stays as it is.
  template <class T>
  void add_vector(std::span<const T> values) {
    add_bytes({values.data(), values.size()}, static_cast<int64_t>(values.size_bytes()));
  }
  void add_plain(const weights::Matrix& w);
  /// For y = W x, or with several groups y_g = W[rows of group g] x_g.
  void add_product(const weights::Matrix& w, int groups, bool quantise);
  void add_stack(std::span<const weights::Expert> experts);

  /// Size of the block.
  int64_t bytes() const { return bytes_; }
  /// Of the tables: they are written when the block has an address, and are no part of it.
  int64_t table_bytes() const { return table_bytes_; }
  const std::vector<WeightPiece>& pieces() const { return pieces_; }
  const std::map<VectorKey, int64_t>& vectors() const { return vectors_; }
  /// By address.
  const std::map<const void*, PlannedMatrix>& plain() const { return plain_; }
  const std::map<ProductKey, PlannedProduct>& products() const { return products_; }
  /// By the address of the first expert's w1.
  const std::map<const void*, PlannedStack>& stacks() const { return stacks_; }

 private:
  using Matrices = std::vector<const weights::Matrix*>;

  void add(const weights::Layer& layer, int groups);
  void add(const weights::Compressor& compressor);
  void add_mix(const weights::Matrix& fn, std::span<const float> base,
               std::span<const float> scale);
  void add_bytes(VectorKey key, int64_t bytes);
  static int64_t take(int64_t& end, int64_t bytes);
  int64_t take(int64_t bytes) { return take(bytes_, bytes); }
  bool tileable(const Matrices& matrices, bool quantise) const;
  PlannedMatrix place(const weights::Matrix& w);
  /// Stack i is the matrices i * per_stack .. laid over each other.
  PlannedProduct tiled(const Matrices& matrices, int per_stack, int groups);
  PlannedProduct plain_product(const Matrices& matrices, int groups);
  PlannedProduct product(const Matrices& matrices, bool quantise);

  const bool tiles_;
  const Ordinary ordinary_;
  int64_t bytes_ = 0;
  int64_t table_bytes_ = 0;
  std::vector<WeightPiece> pieces_;
  std::map<VectorKey, int64_t> vectors_;
  std::map<const void*, PlannedMatrix> plain_;
  std::map<ProductKey, PlannedProduct> products_;
  std::map<const void*, PlannedStack> stacks_;
};

}  // namespace ds4::ops::cuda

#include "engine/ops/cuda/weight_store.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/device/error.h"

namespace ds4::ops::cuda {
namespace {
using weights::Matrix;

// What a loose matrix passes through on its way into tiles.
constexpr int64_t kStagingBytes = int64_t{8} << 20;

PlainMatrix::Format format_of(const Matrix& w) {
  switch (w.format) {
    case Matrix::Format::kFp4:
      return PlainMatrix::kFp4;
    case Matrix::Format::kFp8:
      return PlainMatrix::kFp8;
    case Matrix::Format::kBf16:
      return PlainMatrix::kBf16;
    case Matrix::Format::kF32:
      return PlainMatrix::kF32;
  }
  return PlainMatrix::kF32;
}

uint8_t* bytes_of(std::byte* memory) {
  return reinterpret_cast<uint8_t*>(memory);
}

bool has_ordinary_scales(const Matrix& w) {
  const int64_t bytes = w.stored_bytes() - w.rows * w.row_bytes();
  return ordinary_scales(std::as_bytes(std::span(w.scales, static_cast<size_t>(bytes))));
}

}  // namespace

WeightStore::WeightStore(cudaStream_t stream, bool strict, bool e4m3, Residency residency,
                         Allocate allocate)
    : stream_(stream),
      strict_(strict),
      e4m3_(e4m3),
      residency_(residency),
      allocate_(std::move(allocate)) {}

void WeightStore::upload(const WeightPiece& piece, int64_t first, int64_t bytes,
                         const std::byte* from, uint8_t* staging, uint8_t* block) {
  using Layout = WeightPiece::Layout;
  uint8_t* place = block + piece.at + first;
  const auto size = static_cast<size_t>(bytes);
  if (piece.layout == Layout::kStored) {
    DS4_CUDA(cudaMemcpyAsync(place, from, size, cudaMemcpyHostToDevice, stream_));
    return;
  }
  DS4_CUDA(cudaMemcpyAsync(staging, from, size, cudaMemcpyHostToDevice, stream_));
  const int64_t rows = bytes / piece.row_bytes;
  if (piece.layout == Layout::kFp4Scales) {
    repack_fp4_scales(stream_, staging, place, rows, piece.cols);
  } else {
    repack_weights(stream_, piece.layout == Layout::kPlanes ? Packing::kPlanes : Packing::kUnits,
                   staging, place, rows, piece.row_bytes, piece.cols);
  }
  DS4_CUDA(cudaGetLastError());
}

template <class Add>
void WeightStore::take_loose(const Add& add) {
  WeightPlan plan(strict_, has_ordinary_scales);
  add(plan);
  const Buffer block = allocate_(plan.bytes() + plan.table_bytes());
  device::Memory staging;
  for (const WeightPiece& piece : plan.pieces()) {
    if (piece.layout != WeightPiece::Layout::kStored && !staging.data()) {
      staging = device::Memory(kStagingBytes);
    }
    DS4_CHECK(piece.grain() <= kStagingBytes);
    const int64_t most = kStagingBytes / piece.grain() * piece.grain();
    for (int64_t first = 0; first < piece.bytes; first += most) {
      upload(piece, first, std::min(most, piece.bytes - first), piece.from + first,
             bytes_of(staging.data()), bytes_of(block.data.get()));
    }
  }
  loose_.push_back(block);
  uint8_t* at = bytes_of(block.data.get());
  adopt(plan, {at, at + plan.bytes()});
}

Feed WeightStore::feed_of(const PlannedProduct& planned) const {
  switch (planned.format) {
    case Matrix::Format::kFp8:
      return !planned.quantise ? Feed::kFp8Wide : e4m3_ ? Feed::kFp8E4m3 : Feed::kFp8F16;
    case Matrix::Format::kFp4:
      return Feed::kFp4Planes;
    case Matrix::Format::kBf16:
    case Matrix::Format::kF32:
      break;
  }
  return Feed::kBf16;
}

PlainMatrix WeightStore::resolve(const PlannedMatrix& planned, const uint8_t* block) const {
  const Matrix& w = planned.matrix;
  return {format_of(w),
          w.rows,
          w.cols,
          w.row_bytes(),
          w.scale_cols(),
          block + planned.data,
          planned.scales < 0 ? nullptr : block + planned.scales,
          planned.first_row};
}

Product WeightStore::resolve(const PlannedProduct& planned, const Place& place) {
  Product p{.rows = planned.rows,
            .cols = planned.cols,
            .tiled = planned.tiled,
            .quantise = planned.quantise,
            .tiles = {},
            .table = nullptr};
  if (planned.tiled) {
    p.tiles = {feed_of(planned),
               planned.rows,
               planned.cols,
               place.block + planned.weights,
               place.block + planned.scales,
               planned.stride,
               planned.scale_stride,
               planned.slices};
    return p;
  }
  static_assert(sizeof(PlainMatrix) == kDescriptionBytes);
  std::vector<PlainMatrix> table;
  for (const PlannedMatrix& w : planned.matrices) table.push_back(resolve(w, place.block));
  p.table = reinterpret_cast<const PlainMatrix*>(place.tables + planned.table);
  DS4_CUDA(cudaMemcpyAsync(place.tables + planned.table, table.data(),
                           table.size() * sizeof(PlainMatrix), cudaMemcpyHostToDevice, stream_));
  // The table is a local: the copy must be done before it goes.
  DS4_CUDA(cudaStreamSynchronize(stream_));
  return p;
}

void WeightStore::adopt(const WeightPlan& plan, const Place& place) {
  for (const auto& [key, at] : plan.vectors()) vectors_.emplace(key, place.block + at);
  for (const auto& [key, planned] : plan.plain())
    plain_.emplace(key, resolve(planned, place.block));
  for (const auto& [key, planned] : plan.products()) {
    products_.emplace(key, resolve(planned, place));
  }
  for (const auto& [key, planned] : plan.stacks()) {
    ExpertStack stack;
    stack.inter = planned.inter;
    for (const PlannedProduct& up : planned.up) stack.up.push_back(resolve(up, place));
    stack.down = resolve(planned.down, place);
    stacks_.emplace(key, std::move(stack));
  }
}

template <class T>
const T* WeightStore::copy(std::span<const T> values) {
  const auto key = WeightPlan::VectorKey{values.data(), values.size()};
  if (!vectors_.contains(key)) take_loose([&](WeightPlan& plan) { plan.add_vector(values); });
  return reinterpret_cast<const T*>(vectors_.at(key));
}

const float* WeightStore::vector(std::span<const float> values) {
  return copy(values);
}
const int32_t* WeightStore::vector(std::span<const int32_t> values) {
  return copy(values);
}

const PlainMatrix& WeightStore::plain(const Matrix& w) {
  if (!plain_.contains(w.data)) take_loose([&](WeightPlan& plan) { plan.add_plain(w); });
  return plain_.at(w.data);
}

const Product& WeightStore::product(const Matrix& w, int groups, bool quantise) {
  const WeightPlan::ProductKey key{w.data, groups, quantise};
  if (!products_.contains(key)) {
    take_loose([&](WeightPlan& plan) { plan.add_product(w, groups, quantise); });
  }
  return products_.at(key);
}

const ExpertStack& WeightStore::stack(std::span<const weights::Expert> experts) {
  const void* key = experts[0].w1.data;
  if (!stacks_.contains(key)) take_loose([&](WeightPlan& plan) { plan.add_stack(experts); });
  return stacks_.at(key);
}

const ExpertStack& WeightStore::experts(const std::vector<weights::Expert>& experts) {
  return stack(experts);
}

const ExpertStack& WeightStore::shared(const weights::Expert& expert) {
  return stack({&expert, 1});
}

}  // namespace ds4::ops::cuda

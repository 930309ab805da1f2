#include "engine/ops/cuda/weight_store.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/device/error.h"

namespace ds4::ops::cuda {
namespace {
using weights::Matrix;

constexpr int64_t kStagingBytes = int64_t{64} << 20;
constexpr int64_t kTileRows = 16;
constexpr int64_t kGroup = 128;
constexpr int64_t kAlign = 256;

int64_t aligned(int64_t bytes) {
  return (bytes + kAlign - 1) / kAlign * kAlign;
}

int64_t scale_bytes(const Matrix& w) {
  return w.scales ? w.stored_bytes() - w.rows * w.row_bytes() : 0;
}

// Tiles read scales as exponent bits and multiply them up: extreme ones, which no real checkpoint
// has, stay on the plain path.
bool ordinary_scales(const Matrix& w) {
  const uint8_t* end = w.scales + scale_bytes(w);
  return std::all_of(w.scales, end, [](uint8_t s) { return s >= 1 && s <= 200; });
}

// k is cut so that about 2,000 warps are at work, 16 for each multiprocessor of the largest GPUs
// (docs/perf/gpu.md); BF16 always 8 times. By shape alone: the cut decides the order of summation,
// which must be the same for every number of columns and on every GPU.
int slices_for(const Tiles& tiles, int64_t stacks) {
  const int64_t at_work = tiles.rows / kTileRows * std::min<int64_t>(stacks, 6);
  const int64_t groups = tiles.cols / kGroup;
  int slices = 1;
  while (slices < 8 && 2 * slices <= groups &&
         (tiles.feed == Feed::kBf16 || at_work * 2 * slices <= 2112)) {
    slices *= 2;
  }
  return slices;
}

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

uint8_t* bytes_of(const device::Memory& memory) {
  return reinterpret_cast<uint8_t*>(memory.data());
}

}  // namespace

WeightStore::WeightStore(cudaStream_t stream, bool strict, bool e4m3)
    : stream_(stream), strict_(strict), e4m3_(e4m3) {}

device::Memory WeightStore::upload(const void* from, int64_t bytes) {
  device::Memory memory(std::max<int64_t>(bytes, 1));
  DS4_CUDA(cudaMemcpyAsync(memory.data(), from, static_cast<size_t>(bytes), cudaMemcpyHostToDevice,
                           stream_));
  return memory;
}

template <class T>
const T* WeightStore::copy(std::span<const T> values) {
  const auto key = std::pair{static_cast<const void*>(values.data()), values.size()};
  auto found = vectors_.find(key);
  if (found == vectors_.end()) {
    found =
        vectors_
            .emplace(key, upload(values.data(), static_cast<int64_t>(values.size() * sizeof(T))))
            .first;
  }
  return reinterpret_cast<const T*>(found->second.data());
}

const float* WeightStore::vector(std::span<const float> values) {
  return copy(values);
}
const int32_t* WeightStore::vector(std::span<const int32_t> values) {
  return copy(values);
}

PlainMatrix WeightStore::upload_plain(const Matrix& w, std::vector<device::Memory>& memory) {
  const int64_t data = w.rows * w.row_bytes();
  device::Memory room(aligned(data) + std::max<int64_t>(scale_bytes(w), 1));
  DS4_CUDA(cudaMemcpyAsync(room.data(), w.data, static_cast<size_t>(data), cudaMemcpyHostToDevice,
                           stream_));
  PlainMatrix plain{format_of(w),   w.rows,         w.cols, w.row_bytes(),
                    w.scale_cols(), bytes_of(room), nullptr};
  if (w.scales) {
    DS4_CUDA(cudaMemcpyAsync(room.data() + aligned(data), w.scales,
                             static_cast<size_t>(scale_bytes(w)), cudaMemcpyHostToDevice, stream_));
    plain.scales = bytes_of(room) + aligned(data);
  }
  memory.push_back(std::move(room));
  return plain;
}

const PlainMatrix& WeightStore::plain(const Matrix& w) {
  auto found = plain_.find(w.data);
  if (found == plain_.end()) {
    std::vector<device::Memory> memory;
    const PlainMatrix plain = upload_plain(w, memory);
    found = plain_.emplace(w.data, std::pair{plain, std::move(memory)}).first;
  }
  return found->second.first;
}

bool WeightStore::tileable(const Matrices& matrices, bool quantise, Feed& feed) const {
  if (!strict_) return false;
  const Matrix& first = *matrices.front();
  for (const Matrix* w : matrices) {
    if (w->format != first.format || w->rows != first.rows || w->cols != first.cols) return false;
    if (w->cols % kGroup || w->rows % kTileRows) return false;
    if (w->scales && !ordinary_scales(*w)) return false;
  }
  switch (first.format) {
    case Matrix::Format::kFp8:
      feed = !quantise ? Feed::kFp8Wide : e4m3_ ? Feed::kFp8E4m3 : Feed::kFp8F16;
      return true;
    case Matrix::Format::kFp4:
      feed = Feed::kFp4Planes;
      return quantise;
    case Matrix::Format::kBf16:
      feed = Feed::kBf16;
      return true;
    case Matrix::Format::kF32:
      return false;
  }
  return false;
}

void WeightStore::pack(const Matrix& w, Feed feed, uint8_t* tiles, uint8_t* scales) {
  if (!staging_.data()) staging_ = device::Memory(kStagingBytes);
  const Packing packing = feed == Feed::kFp4Planes ? Packing::kPlanes : Packing::kUnits;
  const int64_t rows_at_once =
      std::max(kTileRows, kStagingBytes / w.row_bytes() / kTileRows * kTileRows);
  DS4_CHECK(rows_at_once * w.row_bytes() <= kStagingBytes);
  for (int64_t row = 0; row < w.rows; row += rows_at_once) {
    const int64_t rows = std::min(rows_at_once, w.rows - row);
    DS4_CUDA(cudaMemcpyAsync(staging_.data(), w.row_data(row),
                             static_cast<size_t>(rows * w.row_bytes()), cudaMemcpyHostToDevice,
                             stream_));
    repack_weights(stream_, packing, bytes_of(staging_), tiles + row * w.row_bytes(), rows,
                   w.row_bytes(), w.cols);
    DS4_CUDA(cudaGetLastError());
  }
  if (!w.scales) return;
  const bool reorder = feed == Feed::kFp4Planes;
  DS4_CHECK(!reorder || scale_bytes(w) <= kStagingBytes);
  void* to = reorder ? static_cast<void*>(staging_.data()) : scales;
  DS4_CUDA(cudaMemcpyAsync(to, w.scales, static_cast<size_t>(scale_bytes(w)),
                           cudaMemcpyHostToDevice, stream_));
  if (!reorder) return;
  repack_fp4_scales(stream_, bytes_of(staging_), scales, w.rows, w.cols);
  DS4_CUDA(cudaGetLastError());
}

Product WeightStore::make_tiled(const Matrices& matrices, int per_stack, int groups, Feed feed) {
  const Matrix& first = *matrices.front();
  const int64_t bytes = first.rows * first.row_bytes();
  const int64_t scales = scale_bytes(first);
  const auto count = static_cast<int64_t>(matrices.size());
  Product p;
  p.tiled = true;
  p.rows = first.rows * per_stack / groups;
  p.cols = first.cols;
  p.memory.emplace_back(bytes * count);
  p.memory.emplace_back(std::max<int64_t>(scales * count, 1));
  p.tiles.feed = feed;
  p.tiles.rows = p.rows;
  p.tiles.cols = p.cols;
  p.tiles.weights = bytes_of(p.memory[0]);
  p.tiles.scales = bytes_of(p.memory[1]);
  p.tiles.stride = bytes * per_stack / groups;
  p.tiles.scale_stride = scales * per_stack / groups;
  p.tiles.slices = slices_for(p.tiles, groups > 1 ? groups : count / per_stack);
  for (int64_t i = 0; i < count; ++i) {
    pack(*matrices[static_cast<size_t>(i)], feed, bytes_of(p.memory[0]) + i * bytes,
         bytes_of(p.memory[1]) + i * scales);
  }
  return p;
}

Product WeightStore::make_plain(const Matrices& matrices, int groups) {
  Product p;
  p.rows = matrices.front()->rows / groups;
  p.cols = matrices.front()->cols;
  std::vector<PlainMatrix> table;
  for (const Matrix* w : matrices) {
    DS4_CHECK(w->rows == matrices.front()->rows && w->cols == p.cols);
    table.push_back(upload_plain(*w, p.memory));
  }
  if (groups > 1) {
    // Rows of a group lie anywhere within FP8 scale blocks, so groups are addressed by row.
    const PlainMatrix whole = table[0];
    table.assign(static_cast<size_t>(groups), whole);
    for (int g = 0; g < groups; ++g) table[static_cast<size_t>(g)].first_row = g * p.rows;
  }
  p.memory.push_back(
      upload(table.data(), static_cast<int64_t>(table.size() * sizeof(PlainMatrix))));
  p.table = reinterpret_cast<const PlainMatrix*>(p.memory.back().data());
  // The table is a local: the copy must be done before it goes.
  DS4_CUDA(cudaStreamSynchronize(stream_));
  return p;
}

const Product& WeightStore::product(const Matrix& w, int groups, bool quantise) {
  const std::tuple key{static_cast<const void*>(w.data), groups, quantise};
  auto found = products_.find(key);
  if (found != products_.end()) return found->second;
  const int64_t rows = w.rows / groups;
  Feed feed{};
  const bool whole_blocks =
      groups == 1 ||
      rows % (w.format == Matrix::Format::kFp8 ? weights::kFp8Block : kTileRows) == 0;
  Product p = whole_blocks && tileable({&w}, quantise, feed) ? make_tiled({&w}, 1, groups, feed)
                                                             : make_plain({&w}, groups);
  p.quantise = quantise;
  return products_.emplace(key, std::move(p)).first->second;
}

Product WeightStore::make(const Matrices& matrices, bool quantise) {
  Feed feed{};
  Product p = tileable(matrices, quantise, feed) ? make_tiled(matrices, 1, 1, feed)
                                                 : make_plain(matrices, 1);
  p.quantise = quantise;
  return p;
}

ExpertStack WeightStore::make_experts(std::span<const weights::Expert> experts) {
  ExpertStack stack;
  stack.inter = experts[0].w1.rows;
  Matrices gates, ups, both, downs;
  for (const weights::Expert& e : experts) {
    gates.push_back(&e.w1);
    ups.push_back(&e.w3);
    both.push_back(&e.w1);
    both.push_back(&e.w3);
    downs.push_back(&e.w2);
  }
  const auto quantised = [](const Matrices& m) {
    for (const Matrix* w : m) DS4_CHECK(w->quantised() == m.front()->quantised());
    return m.front()->quantised();
  };
  const Matrix& first = *both.front();
  const bool joins = first.format != Matrix::Format::kFp8 || first.rows % weights::kFp8Block == 0;
  Feed feed{};
  if (joins && tileable(both, first.quantised(), feed)) {
    stack.up.push_back(make_tiled(both, 2, 1, feed));
    stack.up.back().quantise = first.quantised();
  } else {
    stack.up.push_back(make(gates, quantised(gates)));
    stack.up.push_back(make(ups, quantised(ups)));
  }
  stack.down = make(downs, quantised(downs));
  return stack;
}

const ExpertStack& WeightStore::experts(const std::vector<weights::Expert>& experts) {
  const void* key = experts[0].w1.data;
  auto found = experts_.find(key);
  if (found == experts_.end()) found = experts_.emplace(key, make_experts(experts)).first;
  return found->second;
}

const ExpertStack& WeightStore::shared(const weights::Expert& expert) {
  const void* key = expert.w1.data;
  auto found = experts_.find(key);
  if (found == experts_.end()) found = experts_.emplace(key, make_experts({&expert, 1})).first;
  return found->second;
}

}  // namespace ds4::ops::cuda

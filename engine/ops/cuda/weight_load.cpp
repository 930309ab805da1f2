// Loading: a model's pieces through pinned rooms into the weight block. Readers fill the rooms in
// the order of the files; one stream copies and repacks.
#include <algorithm>

#include "engine/base/check.h"
#include "engine/base/processors.h"
#include "engine/device/error.h"
#include "engine/ops/cuda/estimate.h"
#include "engine/ops/cuda/weight_store.h"
#include "engine/weights/read_ahead.h"

namespace ds4::ops::cuda {
namespace {

// Of a room, in pinned memory and again on the device; the latter begins each part at a multiple of
// kPartAlign, for which the former leaves some out.
constexpr int64_t kRoomBytes = int64_t{8} << 20;
constexpr int64_t kUsedBytes = kRoomBytes - kRoomBytes / 32;
constexpr int64_t kPartAlign = 16;
constexpr int64_t kMostRooms = 16;
static_assert(kMostRooms * kRoomBytes == kCudaStagingBytes);
static_assert(kUsedBytes % weights::ByteFeed::kAlign == 0);

// Readers wait for disks more than they compute, so there are a few even on small machines.
int reader_count() {
  return static_cast<int>(std::clamp<int64_t>(usable_processors(), 4, kMostRooms));
}

}  // namespace

void WeightStore::fill(const WeightPlan& plan, const weights::ByteFeed& feed, uint8_t* block,
                       const LoadProgress& progress, std::set<const std::byte*>& odd) {
  const std::vector<WeightPiece>& pieces = plan.pieces();
  std::vector<weights::Wanted> wanted;
  int64_t total = 0;
  for (const WeightPiece& piece : pieces) {
    wanted.push_back({piece.from, piece.bytes, piece.grain()});
    total += piece.bytes;
  }
  const auto n_rooms =
      static_cast<size_t>(std::min<int64_t>(kMostRooms, total / (kRoomBytes / 2) + 1));
  const device::HostMemory pinned(static_cast<int64_t>(n_rooms) * kRoomBytes);
  const device::Memory staging(static_cast<int64_t>(n_rooms) * kRoomBytes);
  const std::vector<device::Event> taken(n_rooms);
  std::vector<std::span<std::byte>> rooms;
  for (size_t i = 0; i < n_rooms; ++i) {
    rooms.emplace_back(pinned.data() + i * kRoomBytes, static_cast<size_t>(kUsedBytes));
  }

  int64_t done = 0;
  weights::ReadAheadCalls calls;
  calls.free = [&](size_t room) { taken[room].wait(); };
  calls.take = [&](size_t room, std::span<const weights::Part> parts) {
    auto* next = reinterpret_cast<uint8_t*>(staging.data()) + room * kRoomBytes;
    const uint8_t* end = next + kRoomBytes;
    for (const weights::Part& part : parts) {
      const WeightPiece& piece = pieces[part.wanted];
      if (piece.scales_of_tiles && !ordinary_scales({part.data, static_cast<size_t>(part.bytes)})) {
        odd.insert(piece.from);
      }
      const int64_t room_left = end - next;
      const bool repacked = piece.layout != WeightPiece::Layout::kStored;
      DS4_CHECK(!repacked || part.bytes <= room_left);
      upload(piece, part.first, part.bytes, part.data, next, block);
      if (repacked) next += (part.bytes + kPartAlign - 1) / kPartAlign * kPartAlign;
      done += part.bytes;
    }
    taken[room].record(stream_);
    if (progress) progress(done, total);
  };
  try {
    weights::read_ahead(feed, wanted, rooms, reader_count(), calls);
  } catch (...) {
    cudaStreamSynchronize(stream_);  // before the rooms go
    throw;
  }
  DS4_CUDA(cudaStreamSynchronize(stream_));
}

void WeightStore::map(const WeightPlan& plan, const weights::Checkpoint& checkpoint,
                      const weights::ByteFeed& feed, const LoadProgress& progress) {
  packed_ = PackedWeights(plan, checkpoint, feed, progress);
  view_ = device::HostView(packed_.block());
  block_ = device::Memory(plan.table_bytes());
  adopt(plan, {reinterpret_cast<const uint8_t*>(view_.data()),
               reinterpret_cast<uint8_t*>(block_.data())});
}

void WeightStore::load(const weights::ModelWeights& model, const weights::Checkpoint& checkpoint,
                       const weights::ByteFeed& feed, const LoadProgress& progress) {
  // Which scales are not ordinary shows when they pass: then their matrices are planned otherwise
  // and everything is read once more. No real checkpoint comes to that.
  std::set<const std::byte*> odd;
  while (true) {
    const size_t known = odd.size();
    WeightPlan plan(strict_, [&](const weights::Matrix& w) {
      return !odd.contains(reinterpret_cast<const std::byte*>(w.scales));
    });
    plan.add(model);
    if (residency_ == Residency::kMapped) return map(plan, checkpoint, feed, progress);
    block_ = device::Memory();  // the old one first
    const int64_t bytes = plan.bytes() + plan.table_bytes();
    block_ = residency_ == Residency::kManaged ? device::Memory::managed(bytes, stream_)
                                               : device::Memory(bytes);
    auto* block = reinterpret_cast<uint8_t*>(block_.data());
    fill(plan, feed, block, progress, odd);
    if (odd.size() == known) return adopt(plan, {block, block + plan.bytes()});
  }
}

}  // namespace ds4::ops::cuda

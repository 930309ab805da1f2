#include "engine/ops/cuda/packed_weights.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/cache_folder.h"
#include "engine/base/check.h"
#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "engine/base/large_file.h"
#include "engine/base/processors.h"
#include "engine/ops/cuda/estimate.h"
#include "engine/ops/cuda/repack_host.h"
#include "engine/weights/read_ahead.h"

namespace ds4::ops::cuda {
namespace {

namespace fs = std::filesystem;

// To be changed when the same plan comes to mean other bytes, or generated weights do.
constexpr const char* kForm = "ds4-sweep packed weights 1";

// Of a room that a reader fills, and of one more for what is repacked.
constexpr int64_t kRoomBytes = int64_t{8} << 20;
constexpr int64_t kMostRooms = 15;
static_assert((kMostRooms + 1) * kRoomBytes == kCudaStagingBytes);

// Where everything lies and in which layout.
std::string plan_sha256(const WeightPlan& plan) {
  Sha256 hash;
  for (const WeightPiece& p : plan.pieces()) {
    std::string line;
    for (const int64_t number :
         {p.at, p.bytes, static_cast<int64_t>(p.layout), p.row_bytes, p.cols}) {
      line += std::to_string(number) + " ";
    }
    hash.update(line + "\n");
  }
  return hash.hex();
}

std::string header_text(const WeightPlan& plan, const weights::Checkpoint& checkpoint) {
  return std::string(kForm) + "\ncheckpoint " + weights::content_state(checkpoint) + "\nplan " +
         plan_sha256(plan) + "\nbytes " + std::to_string(plan.bytes()) + "\n";
}

fs::path path_of(const weights::Checkpoint& checkpoint, const std::string& header) {
  const fs::path folder = fs::path(checkpoint.directory()).lexically_normal();
  const fs::path base = folder.has_filename() ? folder.filename() : folder.parent_path().filename();
  return cache_folder() / "packed" /
         (base.string() + "-" + sha256_hex(header).substr(0, 16) + ".weights");
}

// The file, if it is there and whole. The header is compared, never read: nothing in it decides.
std::optional<MappedFile> find_whole(const fs::path& path, std::string header, int64_t bytes) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return std::nullopt;
  MappedFile file(path);
  if (static_cast<int64_t>(file.bytes().size()) != kPackedHeaderBytes + bytes) return std::nullopt;
  header.resize(static_cast<size_t>(kPackedHeaderBytes), '\0');
  if (std::memcmp(file.bytes().data(), header.data(), header.size()) != 0) return std::nullopt;
  return file;
}

[[noreturn]] void refuse_scales(const weights::Checkpoint& checkpoint, const std::byte* from) {
  std::string name = "a tensor";
  for (const weights::TensorRef& tensor : checkpoint.tensors()) {
    if (tensor.data.data() == from) name = tensor.name;
  }
  throw Error(ErrorCode::kCheckpoint,
              checkpoint.directory().string() + ": " + name +
                  " has scales beyond those of any real checkpoint (E8M0 codes 1 to 200)",
              "Such weights cannot be mapped: set engine.residency to device.");
}

void write_block(LargeFile& out, const WeightPlan& plan, const weights::Checkpoint& checkpoint,
                 const weights::ByteFeed& feed, const LoadProgress& progress) {
  std::vector<weights::Wanted> wanted;
  int64_t total = 0;
  for (const WeightPiece& piece : plan.pieces()) {
    wanted.push_back({piece.from, piece.bytes, piece.grain()});
    total += piece.bytes;
  }
  const auto n_rooms =
      static_cast<size_t>(std::min<int64_t>(kMostRooms, total / (kRoomBytes / 2) + 1));
  const std::unique_ptr<std::byte, decltype(&std::free)> memory(
      static_cast<std::byte*>(
          std::aligned_alloc(weights::ByteFeed::kAlign, (n_rooms + 1) * kRoomBytes)),
      &std::free);
  if (!memory) throw std::bad_alloc();
  std::vector<std::span<std::byte>> rooms;
  for (size_t i = 0; i <= n_rooms; ++i) {
    rooms.emplace_back(memory.get() + i * kRoomBytes, static_cast<size_t>(kRoomBytes));
  }
  const std::span<std::byte> repacked = rooms.back();
  rooms.pop_back();

  int64_t done = 0;
  weights::ReadAheadCalls calls;
  calls.take = [&](size_t, std::span<const weights::Part> parts) {
    for (const weights::Part& part : parts) {
      const WeightPiece& piece = plan.pieces()[part.wanted];
      const std::span<const std::byte> from{part.data, static_cast<size_t>(part.bytes)};
      if (piece.scales_of_tiles && !ordinary_scales(from)) refuse_scales(checkpoint, piece.from);
      const std::span<std::byte> to = repacked.first(from.size());
      repack_on_host(piece, from, to);
      out.write_at(kPackedHeaderBytes + piece.at + part.first, to);
      done += part.bytes;
    }
    if (progress) progress(done, total);
  };
  const int readers = static_cast<int>(std::clamp<int64_t>(usable_processors(), 4, kMostRooms));
  weights::read_ahead(feed, wanted, rooms, readers, calls);
}

// Brings the pages in now rather than at the first token. Kernels before 5.14 do not know the
// request: there they come one by one.
void bring_in(const fs::path& path, std::span<const std::byte> block,
              const LoadProgress& progress) {
#ifdef MADV_POPULATE_READ
  constexpr size_t kStep = size_t{64} << 20;
  for (size_t at = 0; at < block.size(); at += kStep) {
    const size_t bytes = std::min(kStep, block.size() - at);
    void* begin = const_cast<std::byte*>(block.data() + at);
    while (::madvise(begin, bytes, MADV_POPULATE_READ) != 0) {
      if (errno == EINVAL) return;
      if (errno != EINTR && errno != EAGAIN) throw_errno(path, "read");
    }
    if (progress) {
      progress(static_cast<int64_t>(at + bytes), static_cast<int64_t>(block.size()));
    }
  }
#endif
}

}  // namespace

fs::path packed_weights_path(const WeightPlan& plan, const weights::Checkpoint& checkpoint) {
  return path_of(checkpoint, header_text(plan, checkpoint));
}

PackedWeights::PackedWeights(const WeightPlan& plan, const weights::Checkpoint& checkpoint,
                             const weights::ByteFeed& feed, const LoadProgress& progress) {
  const std::string header = header_text(plan, checkpoint);
  DS4_CHECK(static_cast<int64_t>(header.size()) < kPackedHeaderBytes);
  const fs::path path = path_of(checkpoint, header);
  if (auto found = find_whole(path, header, plan.bytes())) {
    file_ = std::move(*found);
    bring_in(path, block(), progress);
    return;
  }
  make_folders(path.parent_path());
  LargeFile out(path);
  auto found = find_whole(path, header, plan.bytes());  // another process may have written it
  if (!found) {
    out.reserve(kPackedHeaderBytes + plan.bytes());
    write_block(out, plan, checkpoint, feed, progress);
    out.write_at(0, std::as_bytes(std::span(header)));
    out.commit();
    found = find_whole(path, header, plan.bytes());
    if (!found) {
      throw Error(ErrorCode::kIo, path.string() + ": was changed while it was written",
                  "Leave the cache folder alone while an engine loads.");
    }
  }
  file_ = std::move(*found);
}

}  // namespace ds4::ops::cuda

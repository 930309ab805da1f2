// The bytes behind the addresses of an opened checkpoint, without touching its mapping: files by
// direct reads past the page cache, generated weights by generating the piece that is asked for,
// memory by copying. What the bytes are for is the caller's business; NaN codes are refused here,
// where the bytes pass.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "engine/weights/checkpoint.h"

namespace ds4::weights {

/// All calls may come from several threads at a time.
class ByteFeed {
 public:
  /// Rooms begin at multiples of this; reads of files are cut at its multiples.
  static constexpr int64_t kAlign = 4096;
  /// What a room for `bytes` must hold.
  static constexpr int64_t room_for(int64_t bytes) {
    return (bytes + kAlign - 1) / kAlign * kAlign + kAlign;
  }

  /// Gives memory only.
  ByteFeed() = default;
  /// Borrows the checkpoint, which must stay where it is. Throws Error(kIo).
  explicit ByteFeed(const Checkpoint& checkpoint);
  ~ByteFeed();
  ByteFeed(const ByteFeed&) = delete;
  ByteFeed& operator=(const ByteFeed&) = delete;

  /// Brings the bytes [from, from + bytes) into `room` and returns where in it they begin. An
  /// address outside the checkpoint is memory. Throws Error(kIo) naming the file when it cannot be
  /// read or has become shorter, and Error(kCheckpoint) as refuse_nan().
  const std::byte* fetch(const std::byte* from, int64_t bytes, std::span<std::byte> room) const;
  /// The same to any address, for little.
  void read(const std::byte* from, std::span<std::byte> to) const;

  /// Whether both addresses lie in one file, or both in generated weights: then the bytes between
  /// them may be fetched as well.
  bool together(const std::byte* a, const std::byte* b) const;

 private:
  struct File {
    const SafetensorsFile* file = nullptr;
    int direct = -1;  // past the page cache; -1: the file system cannot
    int cached = -1;
    mutable std::atomic<bool> refused = false;  // direct reads, after all
  };
  const File* file_of(const std::byte* address) const;
  bool generated(const std::byte* address) const;
  /// The first tensor that ends behind `address`.
  size_t tensor_behind(const std::byte* address) const;
  const std::byte* read_file(const File& file, int64_t offset, int64_t bytes,
                             std::span<std::byte> room) const;
  /// False when the file system refuses direct reads.
  bool read_direct(const File& file, int64_t begin, int64_t needed, std::span<std::byte> to) const;
  void read_cached(const File& file, int64_t offset, std::span<std::byte> to) const;
  void generate(const std::byte* from, std::span<std::byte> to) const;
  void check(const std::byte* from, std::span<const std::byte> bytes) const;

  const Checkpoint* checkpoint_ = nullptr;
  std::deque<File> files_;
  std::vector<const TensorRef*> tensors_;  // by address
};

}  // namespace ds4::weights

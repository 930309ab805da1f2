// Owners of device memory and of the stream. Nothing here knows what the bytes mean.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace ds4::device {

/// A stream that does not wait for the default one.
class Stream {
 public:
  Stream();
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  operator cudaStream_t() const { return stream_; }
  void wait() const;

 private:
  cudaStream_t stream_ = nullptr;
};

/// Plain device memory. Throws Error(kMachine) naming the size when there is not enough.
class Memory {
 public:
  Memory() = default;
  explicit Memory(int64_t bytes);
  /// Managed memory that the driver is told to keep on the device and brings there now. Refused
  /// like too much of the other kind, although the driver would take it, and where the device
  /// cannot use managed memory together with the processors.
  static Memory managed(int64_t bytes, cudaStream_t stream);
  ~Memory();
  Memory(Memory&& other) noexcept { swap(other); }
  Memory& operator=(Memory&& other) noexcept {
    swap(other);
    return *this;
  }
  std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 private:
  void swap(Memory& other) noexcept;

  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
};

/// Host memory that the device can read and write under the same address. Throws like Memory.
class HostMemory {
 public:
  HostMemory() = default;
  explicit HostMemory(int64_t bytes);
  ~HostMemory();
  HostMemory(HostMemory&& other) noexcept { swap(other); }
  HostMemory& operator=(HostMemory&& other) noexcept {
    swap(other);
    return *this;
  }
  std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 private:
  void swap(HostMemory& other) noexcept;

  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
};

/// Memory of the host that nobody writes, as the device reads it where it lies: through the page
/// tables of the host where it can, else over the bus, for which the memory is pinned. Must not
/// outlive the memory. Throws Error(kMachine) where the device can do neither.
class HostView {
 public:
  HostView() = default;
  explicit HostView(std::span<const std::byte> memory);
  ~HostView();
  HostView(HostView&& other) noexcept { swap(other); }
  HostView& operator=(HostView&& other) noexcept {
    swap(other);
    return *this;
  }
  const std::byte* data() const { return data_; }

 private:
  void swap(HostView& other) noexcept;

  const std::byte* data_ = nullptr;
  void* pinned_ = nullptr;  // on the host
};

/// A point in a stream's work that the host can wait for; before record() there is nothing to wait
/// for.
class Event {
 public:
  Event();
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record(cudaStream_t stream) const;
  void wait() const;

 private:
  cudaEvent_t event_ = nullptr;
};

/// Scratch of one operation at a time: pieces are handed out until clear(), which frees all of them
/// at once. Grows to the largest operation and stays there, unless its memory is fixed; safe
/// because operations of one stream run in order.
class Arena {
 public:
  template <class T>
  T* take(int64_t count) {
    return reinterpret_cast<T*>(bytes(count * static_cast<int64_t>(sizeof(T))));
  }
  void clear();
  /// From now on this memory, and no other: wanting more is a bug. Nothing may be handed out yet.
  void fix(std::shared_ptr<std::byte> memory, int64_t bytes);
  /// Changes whenever the memory handed out moves.
  int64_t generation() const { return generation_; }

 private:
  std::byte* bytes(int64_t count);

  Memory block_;
  std::shared_ptr<std::byte> fixed_;  // instead of the block
  int64_t fixed_bytes_ = 0;
  int64_t used_ = 0;
  int64_t generation_ = 0;
  int64_t wanted_ = 0;            // of this operation, over all blocks
  std::vector<Memory> overflow_;  // what did not fit block_
};

}  // namespace ds4::device

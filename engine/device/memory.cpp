#include "engine/device/memory.h"

#include <utility>

#include "engine/base/check.h"
#include "engine/base/error.h"
#include "engine/base/units.h"
#include "engine/device/error.h"

namespace ds4::device {
namespace {

// Every piece begins on a boundary that serves any vector load.
constexpr int64_t kAlign = 256;

[[noreturn]] void refuse(int64_t bytes) {
  size_t free = 0;
  size_t total = 0;
  DS4_CUDA(cudaMemGetInfo(&free, &total));
  throw Error(ErrorCode::kMachine,
              "the GPU cannot give " + format_bytes(bytes) + ": " +
                  format_bytes(static_cast<int64_t>(free)) + " of " +
                  format_bytes(static_cast<int64_t>(total)) + " are free",
              "Lower the context length or the prefill chunk, or free the GPU.");
}

}  // namespace

Stream::Stream() {
  DS4_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
}

Stream::~Stream() {
  cudaStreamDestroy(stream_);  // at the end there is nobody left to tell
}

void Stream::wait() const {
  DS4_CUDA(cudaStreamSynchronize(stream_));
}

Memory::Memory(int64_t bytes) {
  if (bytes == 0) return;
  void* data = nullptr;
  const cudaError_t status = cudaMalloc(&data, static_cast<size_t>(bytes));
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());  // not sticky; the caller may go on with less
    refuse(bytes);
  }
  DS4_CUDA(status);
  data_ = static_cast<std::byte*>(data);
  bytes_ = bytes;
}

Memory Memory::managed(int64_t bytes, cudaStream_t stream) {
  int together = 0;
  DS4_CUDA(cudaDeviceGetAttribute(&together, cudaDevAttrConcurrentManagedAccess, 0));
  if (!together) {
    throw Error(ErrorCode::kMachine, "this GPU cannot use managed memory beside the processors",
                "Use the residency device.");
  }
  size_t free = 0;
  size_t total = 0;
  DS4_CUDA(cudaMemGetInfo(&free, &total));
  if (static_cast<size_t>(bytes) > free) refuse(bytes);
  Memory memory;
  if (bytes == 0) return memory;
  void* data = nullptr;
  DS4_CUDA(cudaMallocManaged(&data, static_cast<size_t>(bytes)));
  memory.data_ = static_cast<std::byte*>(data);
  memory.bytes_ = bytes;
#if CUDART_VERSION >= 13000
  cudaMemLocation here{};
  here.type = cudaMemLocationTypeDevice;
  DS4_CUDA(
      cudaMemAdvise(data, static_cast<size_t>(bytes), cudaMemAdviseSetPreferredLocation, here));
  DS4_CUDA(cudaMemPrefetchAsync(data, static_cast<size_t>(bytes), here, 0, stream));
#else
  DS4_CUDA(cudaMemAdvise(data, static_cast<size_t>(bytes), cudaMemAdviseSetPreferredLocation, 0));
  DS4_CUDA(cudaMemPrefetchAsync(data, static_cast<size_t>(bytes), 0, stream));
#endif
  return memory;
}

Memory::~Memory() {
  if (data_) cudaFree(data_);
}

void Memory::swap(Memory& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
}

HostMemory::HostMemory(int64_t bytes) {
  void* data = nullptr;
  DS4_CUDA(cudaHostAlloc(&data, static_cast<size_t>(bytes), cudaHostAllocMapped));
  data_ = static_cast<std::byte*>(data);
  bytes_ = bytes;
}

HostMemory::~HostMemory() {
  if (data_) cudaFreeHost(data_);
}

void HostMemory::swap(HostMemory& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
}

HostView::HostView(std::span<const std::byte> memory) {
  int page_tables = 0;
  DS4_CUDA(cudaDeviceGetAttribute(&page_tables, cudaDevAttrPageableMemoryAccess, 0));
  if (page_tables || memory.empty()) {
    data_ = memory.data();
    return;
  }
  pinned_ = const_cast<std::byte*>(memory.data());
  void* data = nullptr;
  cudaError_t status =
      cudaHostRegister(pinned_, memory.size(), cudaHostRegisterMapped | cudaHostRegisterReadOnly);
  if (status == cudaSuccess) {
    status = cudaHostGetDevicePointer(&data, pinned_, 0);
    if (status != cudaSuccess) cudaHostUnregister(pinned_);
  }
  if (status != cudaSuccess) {
    static_cast<void>(cudaGetLastError());  // not sticky
    throw Error(ErrorCode::kMachine,
                "engine.residency is mapped, and this GPU can neither read through the page tables "
                "of the processors nor have " +
                    format_bytes(static_cast<int64_t>(memory.size())) +
                    " of a file pinned: " + cudaGetErrorString(status),
                "Set engine.residency to device.");
  }
  data_ = static_cast<const std::byte*>(data);
}

HostView::~HostView() {
  if (pinned_) cudaHostUnregister(pinned_);
}

void HostView::swap(HostView& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(pinned_, other.pinned_);
}

Event::Event() {
  // Who waits sleeps: the readers' threads are needed for other things.
  DS4_CUDA(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming | cudaEventBlockingSync));
}

Event::~Event() {
  cudaEventDestroy(event_);
}

void Event::record(cudaStream_t stream) const {
  DS4_CUDA(cudaEventRecord(event_, stream));
}

void Event::wait() const {
  DS4_CUDA(cudaEventSynchronize(event_));
}

std::byte* Arena::bytes(int64_t count) {
  const int64_t size = (count + kAlign - 1) / kAlign * kAlign;
  if (fixed_) {
    DS4_CHECK(used_ + size <= fixed_bytes_, "an operation needs more scratch memory than planned");
    std::byte* piece = fixed_.get() + used_;
    used_ += size;
    return piece;
  }
  wanted_ += size;
  if (used_ + size <= block_.bytes()) {
    std::byte* piece = block_.data() + used_;
    used_ += size;
    return piece;
  }
  overflow_.emplace_back(size);
  return overflow_.back().data();
}

void Arena::fix(std::shared_ptr<std::byte> memory, int64_t bytes) {
  DS4_CHECK(used_ == 0 && overflow_.empty());
  block_ = Memory();
  fixed_ = std::move(memory);
  fixed_bytes_ = bytes;
  ++generation_;
}

void Arena::clear() {
  if (!overflow_.empty()) {
    // cudaFree waits for the work that still uses the old blocks.
    overflow_.clear();
    block_ = Memory();
    block_ = Memory(wanted_ + wanted_ / 8);
    ++generation_;
  }
  used_ = 0;
  wanted_ = 0;
}

}  // namespace ds4::device

#include "engine/device/memory.h"

#include <utility>

#include "engine/base/error.h"
#include "engine/base/units.h"
#include "engine/device/error.h"

namespace ds4::device {
namespace {

// Every piece begins on a boundary that serves any vector load.
constexpr int64_t kAlign = 256;

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
    size_t free = 0;
    size_t total = 0;
    DS4_CUDA(cudaMemGetInfo(&free, &total));
    throw Error(ErrorCode::kMachine,
                "the GPU cannot give " + format_bytes(bytes) + ": " +
                    format_bytes(static_cast<int64_t>(free)) + " of " +
                    format_bytes(static_cast<int64_t>(total)) + " are free",
                "Lower the context length or the prefill chunk, or free the GPU.");
  }
  DS4_CUDA(status);
  data_ = static_cast<std::byte*>(data);
  bytes_ = bytes;
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
}

HostMemory::~HostMemory() {
  cudaFreeHost(data_);
}

std::byte* Arena::bytes(int64_t count) {
  const int64_t size = (count + kAlign - 1) / kAlign * kAlign;
  wanted_ += size;
  if (used_ + size <= block_.bytes()) {
    std::byte* piece = block_.data() + used_;
    used_ += size;
    return piece;
  }
  overflow_.emplace_back(size);
  return overflow_.back().data();
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

// Makes the bytes of synthetic tensors: any range of one, or all of them in memory on many threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/weights/synthetic/layout.h"

namespace ds4::weights::synthetic {

/// Ranges handed to generate() begin at multiples of this.
inline constexpr int64_t kGrain = 8;

/// Bytes first .. first + out.size() - 1 of the tensor with this recipe, little-endian like the
/// file format. `first` is a multiple of kGrain.
void generate(const Recipe& recipe, int64_t first, std::span<std::byte> out);

/// Address space for tensors, made before and filled after it is known whether it is needed.
/// Reserving takes no memory; a tensor's address is fixed from then on, 64-byte aligned.
class Memory {
 public:
  /// Throws Error(kMachine) when the address space is limited below what is needed.
  explicit Memory(const std::vector<Tensor>& tensors);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  std::span<const std::byte> bytes(size_t tensor) const;
  /// Generates every byte, on all threads this process may use. Once; throws Error(kMachine) when
  /// the memory cannot be had.
  void fill();

 private:
  struct Range {
    Recipe recipe;
    size_t begin = 0;
    size_t size = 0;
  };
  std::vector<Range> ranges_;
  std::byte* base_ = nullptr;
  size_t size_ = 0;
  bool filled_ = false;
};

}  // namespace ds4::weights::synthetic

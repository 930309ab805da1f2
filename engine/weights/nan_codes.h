// What only data can show to be wrong about a stored matrix: codes that stand for NaN.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "engine/weights/checkpoint.h"

namespace ds4::weights {

/// Throws Error(kCheckpoint): file (or `directory`, for generated weights), tensor, then `what`.
[[noreturn]] void fail_tensor(const std::filesystem::path& directory, const TensorRef& tensor,
                              const std::string& what);

/// Throws as fail_tensor() when `bytes`, which begin at byte `first` of a tensor of rank 2, hold
/// NaN: codes 0x7F and 0xFF of E4M3, byte 255 of E8M0. Other dtypes are not looked at.
void refuse_nan(const std::filesystem::path& directory, const TensorRef& tensor, int64_t first,
                std::span<const std::byte> bytes);

}  // namespace ds4::weights

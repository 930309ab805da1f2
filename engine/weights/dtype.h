// Element types of stored tensors, by the names safetensors gives them. Knows sizes, not meanings.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace ds4::weights {

enum class Dtype : uint8_t {
  kBool,
  kU8,
  kI8,
  kF8E4M3,
  kF8E5M2,
  kF8E8M0,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kI64,
  kU64,
  kF64,
};

/// "F8_E4M3" and so on, as in a safetensors header.
std::string_view dtype_name(Dtype dtype);
/// Bytes of one element.
int64_t dtype_bytes(Dtype dtype);
/// The type of that name, or nothing.
std::optional<Dtype> parse_dtype(std::string_view name);

}  // namespace ds4::weights

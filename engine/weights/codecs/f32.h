// F32, I64, I32 and BF16 elements at addresses without any alignment, as safetensors may place
// them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "engine/weights/codecs/bf16.h"

namespace ds4::weights {

inline float load_f32(const std::byte* at) {
  float value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

inline int64_t load_i64(const std::byte* at) {
  int64_t value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

inline int32_t load_i32(const std::byte* at) {
  int32_t value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

inline float load_bf16(const std::byte* at) {
  uint16_t code;
  std::memcpy(&code, at, sizeof(code));
  return bf16_decode(code);
}

}  // namespace ds4::weights

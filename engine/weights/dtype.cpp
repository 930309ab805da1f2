#include "engine/weights/dtype.h"

namespace ds4::weights {
namespace {

struct Entry {
  Dtype dtype;
  std::string_view name;
  int64_t bytes;
};

// In the order of the enumeration.
constexpr Entry kEntries[] = {
    {Dtype::kBool, "BOOL", 1},      {Dtype::kU8, "U8", 1},          {Dtype::kI8, "I8", 1},
    {Dtype::kF8E4M3, "F8_E4M3", 1}, {Dtype::kF8E5M2, "F8_E5M2", 1}, {Dtype::kF8E8M0, "F8_E8M0", 1},
    {Dtype::kI16, "I16", 2},        {Dtype::kU16, "U16", 2},        {Dtype::kF16, "F16", 2},
    {Dtype::kBF16, "BF16", 2},      {Dtype::kI32, "I32", 4},        {Dtype::kU32, "U32", 4},
    {Dtype::kF32, "F32", 4},        {Dtype::kI64, "I64", 8},        {Dtype::kU64, "U64", 8},
    {Dtype::kF64, "F64", 8},
};

}  // namespace

std::string_view dtype_name(Dtype dtype) {
  return kEntries[static_cast<int>(dtype)].name;
}

int64_t dtype_bytes(Dtype dtype) {
  return kEntries[static_cast<int>(dtype)].bytes;
}

std::optional<Dtype> parse_dtype(std::string_view name) {
  for (const Entry& entry : kEntries) {
    if (entry.name == name) return entry.dtype;
  }
  return std::nullopt;
}

}  // namespace ds4::weights

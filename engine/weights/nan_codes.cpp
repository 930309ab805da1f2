#include "engine/weights/nan_codes.h"

#include <algorithm>
#include <cstring>

#include "engine/base/error.h"
#include "engine/weights/codecs/e8m0.h"

namespace ds4::weights {
namespace {

// The first byte that is one of the two NaN codes of E4M3, or -1. The whole is searched in blocks
// that the compiler turns into vector code; only a block that holds one is looked at again.
int64_t find_e4m3_nan(std::span<const std::byte> bytes) {
  constexpr size_t kBlock = 4096;
  const auto is_nan = [](std::byte b) { return (b & std::byte{0x7F}) == std::byte{0x7F}; };
  for (size_t begin = 0; begin < bytes.size(); begin += kBlock) {
    const auto block = bytes.subspan(begin, std::min(kBlock, bytes.size() - begin));
    unsigned char found = 0;
    for (const std::byte b : block) found |= static_cast<unsigned char>(is_nan(b));
    if (found) return std::find_if(block.begin(), block.end(), is_nan) - bytes.begin();
  }
  return -1;
}

int64_t find_e8m0_nan(std::span<const std::byte> bytes) {
  const void* nan = bytes.empty() ? nullptr : std::memchr(bytes.data(), kE8m0Nan, bytes.size());
  return nan ? static_cast<const std::byte*>(nan) - bytes.data() : -1;
}

}  // namespace

void fail_tensor(const std::filesystem::path& directory, const TensorRef& tensor,
                 const std::string& what) {
  throw Error(ErrorCode::kCheckpoint,
              (tensor.file ? tensor.file->path() : directory).string() + ": tensor " +
                  quoted_name(tensor.name) + " " + what,
              "config.json and the weights must come from the same checkpoint in the official "
              "layout; export or download it again.");
}

void refuse_nan(const std::filesystem::path& directory, const TensorRef& tensor, int64_t first,
                std::span<const std::byte> bytes) {
  const bool codes = tensor.dtype == Dtype::kF8E4M3;
  if (!codes && tensor.dtype != Dtype::kF8E8M0) return;
  const int64_t found = codes ? find_e4m3_nan(bytes) : find_e8m0_nan(bytes);
  if (found < 0) return;
  const int64_t cols = tensor.shape.back();
  fail_tensor(directory, tensor,
              std::string("holds NaN (") + (codes ? "code 0x7F or 0xFF" : "byte 255") +
                  ") in row " + std::to_string((first + found) / cols) + ", column " +
                  std::to_string((first + found) % cols));
}

}  // namespace ds4::weights

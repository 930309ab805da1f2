// Pieces of one block that come and go: first fit, neighbours joined again. Arithmetic on offsets;
// the block is somebody else's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

namespace ds4::ops::cuda {

class Pool {
 public:
  /// Pieces begin at multiples of this.
  static constexpr int64_t kAlign = 256;
  /// What a piece of `bytes` takes of the block.
  static constexpr int64_t rounded(int64_t bytes) {
    return bytes < 1 ? kAlign : (bytes + kAlign - 1) / kAlign * kAlign;
  }

  explicit Pool(int64_t bytes);

  /// Offset of a piece, or nothing when no gap is large enough.
  std::optional<int64_t> take(int64_t bytes);
  /// Takes back what take() gave.
  void give_back(int64_t at);
  /// Bytes of all gaps.
  int64_t free_bytes() const;

 private:
  std::map<int64_t, int64_t> gaps_;   // offset -> bytes
  std::map<int64_t, int64_t> taken_;  // offset -> bytes
};

}  // namespace ds4::ops::cuda

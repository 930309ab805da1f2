// The merge loop of byte-level BPE (model.md 6.1, step 5): bytes of one piece in, token ids out.
// Knows token ids and ranks only, no text.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/api/text.h"

namespace ds4::text {

/// `left` followed by `right` becomes `result`; the rank is the position in the list of merges.
struct Merge {
  TokenId left;
  TokenId right;
  TokenId result;
};

class BpeMerger {
 public:
  /// Working memory, reused from piece to piece. Not shared between threads.
  struct Scratch {
    std::vector<TokenId> ids;
    std::vector<uint32_t> ranks;
    std::vector<uint32_t> next;
    std::vector<uint32_t> previous;
    std::vector<uint64_t> heap;
  };

  /// `byte_ids`: the token of each single byte, -1 where the vocabulary has none.
  BpeMerger(std::span<const Merge> merges, const std::array<TokenId, 256>& byte_ids);

  /// Appends the tokens of `piece` to `out`. Repeats the merge of lowest rank, leftmost on ties;
  /// O(n log n) for long pieces. Returns -1, or the first byte that has no token (then `out` is
  /// unchanged).
  int encode(std::string_view piece, std::vector<TokenId>& out, Scratch& scratch) const;

 private:
  struct Slot {
    uint64_t pair;
    uint32_t rank;
    TokenId result;
  };

  const Slot* find(TokenId left, TokenId right) const;
  uint32_t rank(TokenId left, TokenId right) const;
  void merge_short(std::vector<TokenId>& out, Scratch& scratch) const;
  void merge_long(std::vector<TokenId>& out, Scratch& scratch) const;

  std::array<TokenId, 256> byte_ids_;
  std::vector<Slot> slots_;  // open addressing, a power of two, at most half full
  int shift_ = 0;
};

}  // namespace ds4::text

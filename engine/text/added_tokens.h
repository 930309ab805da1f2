// Finds the literals of added tokens in raw text, leftmost and longest (model.md 6.1, step 1).
// A byte trie; it knows nothing of the base vocabulary.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/api/text.h"

namespace ds4::text {

class AddedTokenMatcher {
 public:
  struct Match {
    size_t begin;
    size_t length;  // 0: nothing found
    TokenId id;
  };

  AddedTokenMatcher();
  /// `literal` must not be empty; the last id given for a literal counts.
  void add(std::string_view literal, TokenId id);
  /// The first literal at or after `from`; of those that begin there, the longest.
  Match find(std::string_view text, size_t from) const;

 private:
  struct Node {
    TokenId id = -1;                                  // token that ends here, or -1
    std::vector<std::pair<uint8_t, uint32_t>> edges;  // sorted by byte
  };
  static constexpr uint32_t kNone = UINT32_MAX;

  uint32_t child(uint32_t node, uint8_t byte) const;

  std::vector<Node> nodes_;
  std::array<uint32_t, 256> first_;  // node after the first byte: most positions fail here
};

}  // namespace ds4::text

#include "engine/text/added_tokens.h"

#include <algorithm>

#include "engine/base/check.h"

namespace ds4::text {

AddedTokenMatcher::AddedTokenMatcher() {
  first_.fill(kNone);
}

uint32_t AddedTokenMatcher::child(uint32_t node, uint8_t byte) const {
  const auto& edges = nodes_[node].edges;
  const auto edge = std::lower_bound(edges.begin(), edges.end(), std::pair{byte, uint32_t{0}});
  return edge != edges.end() && edge->first == byte ? edge->second : kNone;
}

void AddedTokenMatcher::add(std::string_view literal, TokenId id) {
  DS4_CHECK(!literal.empty());
  const auto new_node = [&] {
    nodes_.emplace_back();
    return static_cast<uint32_t>(nodes_.size() - 1);
  };
  uint32_t& first = first_[static_cast<uint8_t>(literal[0])];
  if (first == kNone) first = new_node();
  uint32_t node = first;
  for (const char c : literal.substr(1)) {
    const auto byte = static_cast<uint8_t>(c);
    uint32_t next = child(node, byte);
    if (next == kNone) {
      next = new_node();
      auto& edges = nodes_[node].edges;
      const std::pair edge{byte, next};
      edges.insert(std::lower_bound(edges.begin(), edges.end(), edge), edge);
    }
    node = next;
  }
  nodes_[node].id = id;
}

AddedTokenMatcher::Match AddedTokenMatcher::find(std::string_view text, size_t from) const {
  for (size_t begin = from; begin < text.size(); ++begin) {
    uint32_t node = first_[static_cast<uint8_t>(text[begin])];
    if (node == kNone) continue;
    Match longest{begin, 0, -1};
    for (size_t end = begin + 1; node != kNone; ++end) {
      if (nodes_[node].id >= 0) longest = {begin, end - begin, nodes_[node].id};
      if (end == text.size()) break;
      node = child(node, static_cast<uint8_t>(text[end]));
    }
    if (longest.length > 0) return longest;
  }
  return {text.size(), 0, -1};
}

}  // namespace ds4::text

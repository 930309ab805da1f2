#include "engine/text/bpe.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "engine/base/check.h"

namespace ds4::text {
namespace {

constexpr uint32_t kNoRank = UINT32_MAX;
constexpr uint32_t kEnd = UINT32_MAX;
constexpr uint64_t kEmpty = UINT64_MAX;

// Up to here rescanning an array beats a heap; nearly all pieces of real text are shorter.
constexpr size_t kShortPiece = 40;

uint64_t pair_key(TokenId left, TokenId right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

// Fibonacci hashing: the top bits of the product mix both halves.
uint64_t hash(uint64_t key) {
  return (key ^ key >> 29) * 0x9E3779B97F4A7C15u;
}

}  // namespace

BpeMerger::BpeMerger(std::span<const Merge> merges, const std::array<TokenId, 256>& byte_ids)
    : byte_ids_(byte_ids) {
  const size_t capacity = std::bit_ceil(std::max<size_t>(2 * merges.size(), 16));
  shift_ = 64 - std::countr_zero(capacity);
  slots_.assign(capacity, Slot{kEmpty, kNoRank, -1});
  for (size_t i = 0; i < merges.size(); ++i) {
    const uint64_t key = pair_key(merges[i].left, merges[i].right);
    size_t at = hash(key) >> shift_;
    while (slots_[at].pair != kEmpty && slots_[at].pair != key) at = (at + 1) & (capacity - 1);
    DS4_CHECK(slots_[at].pair == kEmpty, "a pair is listed twice");
    slots_[at] = {key, static_cast<uint32_t>(i), merges[i].result};
  }
}

const BpeMerger::Slot* BpeMerger::find(TokenId left, TokenId right) const {
  const uint64_t key = pair_key(left, right);
  for (size_t at = hash(key) >> shift_;; at = (at + 1) & (slots_.size() - 1)) {
    if (slots_[at].pair == key) return &slots_[at];
    if (slots_[at].pair == kEmpty) return nullptr;
  }
}

uint32_t BpeMerger::rank(TokenId left, TokenId right) const {
  const Slot* slot = find(left, right);
  return slot != nullptr ? slot->rank : kNoRank;
}

int BpeMerger::encode(std::string_view piece, std::vector<TokenId>& out, Scratch& scratch) const {
  DS4_CHECK(piece.size() < kEnd);
  scratch.ids.clear();
  for (const char c : piece) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte_ids_[byte] < 0) return byte;
    scratch.ids.push_back(byte_ids_[byte]);
  }
  if (piece.size() < 2) {
    out.insert(out.end(), scratch.ids.begin(), scratch.ids.end());
  } else if (piece.size() <= kShortPiece) {
    merge_short(out, scratch);
  } else {
    merge_long(out, scratch);
  }
  return -1;
}

void BpeMerger::merge_short(std::vector<TokenId>& out, Scratch& scratch) const {
  auto& ids = scratch.ids;
  auto& ranks = scratch.ranks;  // of the pair (i, i + 1)
  ranks.resize(ids.size() - 1);
  for (size_t i = 0; i + 1 < ids.size(); ++i) ranks[i] = rank(ids[i], ids[i + 1]);
  while (!ranks.empty()) {
    const auto lowest = std::min_element(ranks.begin(), ranks.end());  // the leftmost minimum
    if (*lowest == kNoRank) break;
    const auto i = lowest - ranks.begin();
    ids[i] = find(ids[i], ids[i + 1])->result;
    ids.erase(ids.begin() + i + 1);
    ranks.erase(lowest);
    if (i > 0) ranks[i - 1] = rank(ids[i - 1], ids[i]);
    if (i + 1 < static_cast<ptrdiff_t>(ids.size())) ranks[i] = rank(ids[i], ids[i + 1]);
  }
  out.insert(out.end(), ids.begin(), ids.end());
}

void BpeMerger::merge_long(std::vector<TokenId>& out, Scratch& scratch) const {
  auto& ids = scratch.ids;
  auto& ranks = scratch.ranks;  // of the pair that begins here; kNoRank: none, or swallowed
  auto& next = scratch.next;
  auto& previous = scratch.previous;
  auto& heap = scratch.heap;
  const auto n = static_cast<uint32_t>(ids.size());
  ranks.assign(n, kNoRank);
  next.resize(n);
  previous.resize(n);
  heap.clear();
  // Entries are (rank, position); one whose rank is no longer the position's is stale.
  const auto entry = [](uint32_t pair_rank, uint32_t at) { return uint64_t{pair_rank} << 32 | at; };
  for (uint32_t i = 0; i < n; ++i) {
    previous[i] = i == 0 ? kEnd : i - 1;
    next[i] = i + 1 == n ? kEnd : i + 1;
    if (i + 1 < n) ranks[i] = rank(ids[i], ids[i + 1]);
    if (ranks[i] != kNoRank) heap.push_back(entry(ranks[i], i));
  }
  const auto lowest_first = std::greater<>();
  std::make_heap(heap.begin(), heap.end(), lowest_first);
  const auto renew = [&](uint32_t at) {
    ranks[at] = next[at] == kEnd ? kNoRank : rank(ids[at], ids[next[at]]);
    if (ranks[at] == kNoRank) return;
    heap.push_back(entry(ranks[at], at));
    std::push_heap(heap.begin(), heap.end(), lowest_first);
  };

  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), lowest_first);
    const auto at = static_cast<uint32_t>(heap.back());
    const auto pair_rank = static_cast<uint32_t>(heap.back() >> 32);
    heap.pop_back();
    if (ranks[at] != pair_rank) continue;

    const uint32_t swallowed = next[at];
    ids[at] = find(ids[at], ids[swallowed])->result;
    ranks[swallowed] = kNoRank;
    next[at] = next[swallowed];
    if (next[at] != kEnd) previous[next[at]] = at;
    renew(at);
    if (previous[at] != kEnd) renew(previous[at]);
  }
  for (uint32_t i = 0; i != kEnd; i = next[i]) out.push_back(ids[i]);
}

}  // namespace ds4::text

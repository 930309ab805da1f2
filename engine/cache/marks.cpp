#include "engine/cache/marks.h"

#include <algorithm>

#include "engine/base/check.h"

namespace ds4::cache {

int64_t marks_bytes(const CachePlan& plan, int64_t vocab) {
  return kMarks * (plan.mark_bytes + vocab * 4);
}

Marks::Marks(ops::Backend& backend, const KvCache& cache, int64_t vocab)
    : backend_(backend),
      cache_(cache),
      vocab_(vocab),
      memory_(backend.allocate(marks_bytes(cache.plan(), vocab))) {}

size_t Marks::find(int64_t length) const {
  const auto at = std::lower_bound(marks_.begin(), marks_.end(), length,
                                   [](const Mark& mark, int64_t l) { return mark.length < l; });
  return static_cast<size_t>(at - marks_.begin());
}

size_t Marks::least_useful(int64_t newest) const {
  size_t oldest_turn = marks_.size();
  size_t crowded = marks_.size();
  int64_t narrowest = 0;
  int turns = 0;
  for (size_t i = 0; i < marks_.size(); ++i) {
    if (marks_[i].kind == MarkKind::kTurn) {
      ++turns;
      if (oldest_turn == marks_.size() || marks_[i].used < marks_[oldest_turn].used)
        oldest_turn = i;
      continue;
    }
    const int64_t before = i ? marks_[i - 1].length : 0;
    const int64_t behind = i + 1 < marks_.size() ? marks_[i + 1].length : newest;
    if (crowded == marks_.size() || behind - before < narrowest) {
      crowded = i;
      narrowest = behind - before;
    }
  }
  return turns > kMarks / 2 || crowded == marks_.size() ? oldest_turn : crowded;
}

int Marks::free_slot() const {
  for (int slot = 0; slot < kMarks; ++slot) {
    if (std::none_of(marks_.begin(), marks_.end(),
                     [slot](const Mark& mark) { return mark.slot == slot; })) {
      return slot;
    }
  }
  DS4_CHECK(false, "more marks than slots");
}

void Marks::copy(const Mark& mark, ops::Floats logits, bool to_mark) {
  std::byte* memory = memory_.data.get() + mark.slot * slot_bytes();
  std::vector<Piece> pieces = cache_.ring_pieces(mark.length);
  pieces.push_back({logits.data, vocab_ * 4});
  std::vector<ops::Copy> copies;
  for (const Piece& piece : pieces) {
    copies.push_back(to_mark ? ops::Copy{piece.data, memory, piece.bytes}
                             : ops::Copy{memory, piece.data, piece.bytes});
    memory += piece.bytes;
  }
  DS4_CHECK(memory <= memory_.data.get() + (mark.slot + 1) * slot_bytes());
  backend_.copy(copies);
}

void Marks::keep(int64_t length, ops::Floats logits, MarkKind kind) {
  DS4_CHECK(length > 0 && logits.cols == vocab_);
  if (const size_t at = find(length); at < marks_.size() && marks_[at].length == length) {
    if (kind == MarkKind::kTurn) marks_[at].kind = kind;
    marks_[at].used = ++clock_;
    return;
  }
  if (marks_.size() == kMarks) {
    marks_.erase(marks_.begin() + static_cast<std::ptrdiff_t>(least_useful(length)));
  }
  const Mark mark{length, kind, ++clock_, free_slot()};
  copy(mark, logits, true);
  marks_.insert(marks_.begin() + static_cast<std::ptrdiff_t>(find(length)), mark);
}

int64_t Marks::longest(int64_t limit) const {
  const size_t behind = find(limit + 1);
  return behind ? marks_[behind - 1].length : 0;
}

void Marks::restore(int64_t length, ops::Floats logits) {
  const size_t at = find(length);
  DS4_CHECK(at < marks_.size() && marks_[at].length == length, "no mark there");
  marks_[at].used = ++clock_;
  copy(marks_[at], logits, false);
}

void Marks::drop_behind(int64_t length) {
  marks_.resize(find(length + 1));
}

}  // namespace ds4::cache

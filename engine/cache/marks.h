// Marks: copies of what a sequence's rings held at some earlier lengths, with the logits there, so
// that it can go back further than the rings reach. Compressed rows are append-only and need none.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/cache/kv_cache.h"
#include "engine/ops/ops.h"

namespace ds4::cache {

/// Marks of one sequence; their memory is taken when it begins.
inline constexpr int kMarks = 8;

/// Bytes of all marks of one sequence, logits included.
int64_t marks_bytes(const CachePlan& plan, int64_t vocab);

enum class MarkKind {
  kWaypoint,  // somewhere inside a prompt
  kTurn,      // where a prompt ended or two prompts parted: likely to be wanted again
};

class Marks {
 public:
  /// Throws Error(kMachine) when the memory is not there. Borrowed objects must outlive this one.
  Marks(ops::Backend& backend, const KvCache& cache, int64_t vocab);

  /// Marks the present `length` of the sequence, whose last logits [vocab] are given. When all
  /// marks are taken, half of them belong to turns, of which the one unused for longest goes; the
  /// other half stays spread over the length: the waypoint whose neighbours are nearest to each
  /// other goes.
  void keep(int64_t length, ops::Floats logits, MarkKind kind);

  /// The longest marked length up to `limit`; 0: there is none.
  int64_t longest(int64_t limit) const;
  /// Puts the rows of the mark at `length` back into the rings and the logits there into `logits`.
  void restore(int64_t length, ops::Floats logits);
  /// Forgets marks behind `length`.
  void drop_behind(int64_t length);

 private:
  struct Mark {
    int64_t length = 0;
    MarkKind kind = MarkKind::kWaypoint;
    uint64_t used = 0;
    int slot = 0;
  };
  size_t find(int64_t length) const;
  size_t least_useful(int64_t newest) const;
  int free_slot() const;
  /// Bytes of a mark: rows, then logits.
  int64_t slot_bytes() const { return cache_.plan().mark_bytes + vocab_ * 4; }
  void copy(const Mark& mark, ops::Floats logits, bool to_mark);

  ops::Backend& backend_;
  const KvCache& cache_;
  std::vector<Mark> marks_;  // ascending lengths
  uint64_t clock_ = 0;
  int64_t vocab_ = 0;
  ops::Buffer memory_;  // kMarks slots of slot_bytes()
};

}  // namespace ds4::cache

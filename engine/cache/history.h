// How far back a sequence can go: a little by its rings alone, further by its marks. Knows lengths
// and which ring slots are still intact; the tokens themselves are the session's.
#pragma once

#include <cstdint>

#include "engine/cache/kv_cache.h"
#include "engine/cache/marks.h"

namespace ds4::cache {

/// Marks nearer to the one before them spare too little to be worth their memory.
inline constexpr int64_t kMarkSpacing = 64;

class History {
 public:
  /// Throws Error(kMachine) when the marks' memory is not there. `cache` is borrowed.
  History(ops::Backend& backend, const KvCache& cache, int64_t vocab)
      : cache_(cache), marks_(backend, cache, vocab) {}

  /// To be called before positions up to `end` are written.
  void writing(int64_t end);
  /// Whether the rings still hold all that a sequence of `length` tokens needs: no later position
  /// has taken a slot of theirs, and they were written since the last restart().
  bool in_reach(int64_t length) const;

  /// Marks the present length, whose last logits are given; a waypoint only where it is
  /// kMarkSpacing behind the mark before it.
  void mark(int64_t length, ops::Floats logits, MarkKind kind);

  struct Return {
    int64_t length = 0;
    bool logits = false;  // whether those of the last token are known
  };
  /// Goes back to the longest length that can be reached among those up to `shared`, and writes the
  /// logits there, if known, to `logits` [vocab]. By rings at most to shared - 1, so that the
  /// logits behind the last shared token will be computed.
  Return go_back(int64_t shared, ops::Floats logits);
  /// Takes back the last few tokens (a rejected draft); `length` must be in reach.
  void truncate(int64_t length);
  /// The rings now hold what `length` tokens need and nothing else. Forgets all marks.
  void restart(int64_t length);

 private:
  const KvCache& cache_;
  Marks marks_;
  int64_t low_ = 0;   // rings hold what lengths from here on need
  int64_t high_ = 0;  // behind the last position written since then
};

}  // namespace ds4::cache

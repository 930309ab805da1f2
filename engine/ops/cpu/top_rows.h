// The best k of a stream of scores, offered in ascending order of index. Equal scores: the lower
// index wins. Most scores are turned away by one vector comparison.
#pragma once

#include <cstdint>
#include <vector>

namespace ds4::ops::cpu {

class TopRows {
 public:
  explicit TopRows(int64_t k);

  /// Offers score[i] for index first + i, i < n; `first` never decreases between calls.
  void offer(const float* score, int64_t first, int64_t n);
  /// Takes over what `other` kept; its indices must lie above all of this one's.
  void merge(const TopRows& other);
  /// Writes the kept indices in ascending order to out [k] and -1 behind them.
  void finish(int32_t* out);

 private:
  struct Entry {
    float score;
    int32_t index;
  };
  void shrink();

  int64_t k_;
  float bound_;  // only higher scores can still enter
  std::vector<Entry> kept_;
  std::vector<int32_t> found_;
};

}  // namespace ds4::ops::cpu

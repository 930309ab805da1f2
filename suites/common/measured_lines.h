// Fills a number of tokens exactly with lines whose token costs were measured: how prompts are
// sized to the token. Knows nothing of needles, frames or tokenizers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "suites/common/rng.h"

namespace ds4::suites {

struct MeasuredLine {
  std::string text;    // without the line feed
  int64_t tokens = 0;  // what it adds to a prompt, line feed included; > 0
};

class LineFiller {
 public:
  /// `lines` must not be empty. The lines are handed out in a random order, each once before any
  /// comes again.
  LineFiller(std::vector<MeasuredLine> lines, Rng rng);

  const std::vector<MeasuredLine>& lines() const { return lines_; }
  int64_t max_tokens() const { return max_tokens_; }

  /// Some selection of lines adds up to exactly `tokens` (0 = none).
  bool reachable(int64_t tokens) const;

  /// The reachable number nearest to `tokens`, the lower one of two.
  int64_t nearest_reachable(int64_t tokens) const;

  /// Begins `lines` further on.
  void skip(int64_t lines) { next_ += static_cast<size_t>(lines); }

  /// Texts that add up to exactly `tokens`, which must be reachable.
  std::vector<std::string> take(int64_t tokens);

 private:
  std::vector<MeasuredLine> lines_;
  int64_t min_tokens_ = 0;
  int64_t max_tokens_ = 0;
  std::vector<bool> reachable_;  // index = tokens
  size_t next_ = 0;
};

}  // namespace ds4::suites

// What programs print when they run out of memory, crash on the GPU or leave a fast path: one table
// of phrases, matched in any case. Taken from the logs of engines that people run beside ours.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ds4::runners::outcome {

enum class Tells {
  kOutOfMemory,   // an allocation failed
  kGpuFault,      // a kernel of the GPU faulted
  kIncompatible,  // this engine cannot run this checkpoint
  kFallback,      // a fast path was refused or replaced
  kOurBug,        // a check of ours failed
  kDriverNoMemory,
  kKernelOomKill,
};

/// The first line of `text` that tells `what`; empty when none does.
std::string_view line_that_tells(std::string_view text, Tells what);

/// Collects the lines of a log that tell of a fallback while the log goes by, so that a remark made
/// at the beginning is not lost with the beginning.
class FallbackLines {
 public:
  void feed(std::string_view bytes);
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::string partial_;
  std::vector<std::string> lines_;
};

}  // namespace ds4::runners::outcome

// A named span of the host's time for profilers that listen to NVTX, such as Nsight Systems.
// Without one, opening and closing it costs the test of a pointer each.
#pragma once

namespace ds4::device {

/// Open from construction to destruction, on the constructing thread; ranges nest.
class Range {
 public:
  /// `name` is copied only while a profiler listens.
  explicit Range(const char* name);
  ~Range();
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;
};

}  // namespace ds4::device

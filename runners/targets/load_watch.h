// What loading tells: how far it is, for people, and how fast it was, for the record.
#pragma once

#include <cstdint>
#include <string>

namespace ds4::runners {

class LoadWatch {
 public:
  /// To be called when loading tells its progress; `now` in seconds. Returns what to show ("12.3 of
  /// 92.1 GiB, 3.10 GB/s, 26 s left"), or "" when something was shown a moment ago.
  std::string told(int64_t done, int64_t total, double now);
  /// Bytes per second of all that was told; 0 when nothing was.
  double rate() const;

 private:
  int64_t done_ = 0;
  double first_s_ = 0, last_s_ = 0, shown_s_ = 0;
  bool begun_ = false;
  int64_t first_done_ = 0;
};

}  // namespace ds4::runners

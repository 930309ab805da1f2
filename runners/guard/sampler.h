// Reads the machine's memory at a rate: descriptors opened once, one pread each, no allocation.
#pragma once

#include <array>
#include <filesystem>

#include "runners/guard/sample.h"

namespace ds4::runners::guard {

class Sampler {
 public:
  /// `proc` is where the kernel's files are; tests have their own. A machine without pressure
  /// figures has none in its samples. Throws Error(kMachine) when meminfo cannot be opened or says
  /// nothing of MemAvailable.
  explicit Sampler(const std::filesystem::path& proc = "/proc");
  ~Sampler();
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  /// Fills in what the kernel tells now; time and phase are the caller's. When meminfo cannot be
  /// read, the sample is not readable(). Never throws, allocates or waits.
  void read(Sample& sample) noexcept;

 private:
  std::string_view text_of(int fd) noexcept;

  int meminfo_ = -1, pressure_ = -1, vmstat_ = -1;
  std::array<char, 32768> buffer_;
};

}  // namespace ds4::runners::guard

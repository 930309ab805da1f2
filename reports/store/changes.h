// Whether others have written to a database, without reading it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

namespace ds4::reports {

class ChangeCounter {
 public:
  /// Opens the file for reading. Throws Error(kIo).
  explicit ChangeCounter(const std::filesystem::path& path);
  ~ChangeCounter();

  /// Another number than at the last call when somebody has committed since. Numbers of two
  /// counters say nothing about each other.
  int64_t value();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ds4::reports

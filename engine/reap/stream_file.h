// A large file written front to back: hashed on the way, under its name only when complete.
#pragma once

#include <filesystem>
#include <string_view>

#include "engine/base/hash.h"

namespace ds4::reap {

/// Writes to PATH.part. Without finish() the destructor removes it.
class StreamFile {
 public:
  explicit StreamFile(std::filesystem::path path);
  StreamFile(const StreamFile&) = delete;
  ~StreamFile();

  /// Throws Error(kIo), with the missing space in the hint when the disk is full.
  void write(std::string_view bytes);
  /// Syncs, renames to PATH and returns the sha256 of all bytes.
  std::string finish();

 private:
  [[noreturn]] void fail(const char* action) const;

  std::filesystem::path path_;
  std::filesystem::path part_;
  int fd_ = -1;
  Sha256 hash_;
};

}  // namespace ds4::reap

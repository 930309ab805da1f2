// A large file that is made once for all processes: one writes it under a lock, the others wait.
// What it holds is its maker's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace ds4 {

/// Written as PATH.part and renamed by commit(), so that PATH is whole or not there. What a killed
/// process left behind as PATH.part is overwritten by the next. Errors are Error(kIo) naming PATH.
class LargeFile {
 public:
  /// Waits until no other process writes PATH; look for it again then.
  explicit LargeFile(std::filesystem::path path);
  /// Without commit() nothing is left behind.
  ~LargeFile();
  LargeFile(const LargeFile&) = delete;
  LargeFile& operator=(const LargeFile&) = delete;

  /// Makes it `bytes` zeros. The space is taken now where the file system can, so that a full disk
  /// shows before the work.
  void reserve(int64_t bytes);
  /// In any order. Every so often waits for the disk: pages that are not written yet cannot be
  /// given back, and a memory full of them stops the machine.
  void write_at(int64_t offset, std::span<const std::byte> bytes);
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path part_;
  int fd_ = -1;
  int64_t waiting_ = 0;  // bytes written since the disk was waited for
};

}  // namespace ds4

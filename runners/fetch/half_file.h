// A file that is being downloaded: PATH.part, kept when the download ends early so that the next
// one goes on where it stopped, and PATH only once it is whole. Knows nothing of the network.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace ds4::runners::fetch {

class HalfFile {
 public:
  /// Opens the half that lies there, or an empty one, and makes its folder. Throws Error(kIo), also
  /// when another process downloads the same file.
  explicit HalfFile(std::filesystem::path path);
  /// The half stays; an empty one goes.
  ~HalfFile();
  HalfFile(const HalfFile&) = delete;
  HalfFile& operator=(const HalfFile&) = delete;

  int64_t size() const { return size_; }
  /// False, with errno, when not all could be written; the half then has what could.
  bool append(std::string_view bytes);
  /// Forgets all bytes. Throws Error(kIo).
  void restart();
  std::string sha256() const;
  /// Syncs it and gives it its name, over whatever has it. Throws Error(kIo).
  void commit();

 private:
  std::filesystem::path path_, part_;
  int fd_ = -1;
  int64_t size_ = 0;
};

}  // namespace ds4::runners::fetch

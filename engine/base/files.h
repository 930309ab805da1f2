// Files: whole reads, atomic writes, read-only mappings. Errors are ds4::Error(kIo) with the path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace ds4 {

/// Throws Error(kIo): PATH: cannot ACTION, why (errno), and what to do about it.
[[noreturn]] void throw_errno(const std::filesystem::path& path, const std::string& action);

/// The whole file as bytes. Throws Error(kIo) when it cannot be read or exceeds `max_bytes`.
std::string read_file(const std::filesystem::path& path, int64_t max_bytes = int64_t{1} << 30);

/// Makes a folder and those above it; an existing one is well. Throws Error(kIo).
void make_folders(const std::filesystem::path& path);

/// A file that appears under its name only when it is whole: written next to it, synced and renamed
/// by commit(). Without commit() nothing is left behind.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::string_view bytes);
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int fd_ = -1;
};

/// The same in one go.
void write_file_atomic(const std::filesystem::path& path, std::string_view bytes);

/// A read-only, shared memory map of a whole file. Movable; unmapped on destruction. A file that is
/// cut shorter meanwhile is the business of mapped_files.h.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  int guarded_ = -1;  // its place with remember_mapped_file()
};

/// Gives back the memory that a mapped range takes in this process; reading it again works.
void release_pages(std::span<const std::byte> mapped);

/// Calls `use` with consecutive pieces, a few MiB each, of a mapped range and gives their memory
/// back behind it: one pass over a file of any size keeps the process small.
void read_pieces(std::span<const std::byte> mapped,
                 const std::function<void(std::string_view)>& use);

}  // namespace ds4

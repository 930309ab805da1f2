#include "engine/base/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/mapped_files.h"

namespace ds4 {
namespace {

// A file descriptor that closes itself.
struct Fd {
  int fd;
  ~Fd() {
    if (fd >= 0) ::close(fd);
  }
};

int64_t file_size(const std::filesystem::path& path, int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) throw_errno(path, "stat");
  if (!S_ISREG(info.st_mode)) {
    throw Error(ErrorCode::kIo, path.string() + ": not a regular file", "Check the path.");
  }
  return info.st_size;
}

}  // namespace

void throw_errno(const std::filesystem::path& path, const std::string& action) {
  const bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
  throw Error(ErrorCode::kIo, path.string() + ": cannot " + action + ": " + std::strerror(errno),
              full ? "Free space on that disk and give the same command again."
                   : "Check the path and the permissions.");
}

std::string read_file(const std::filesystem::path& path, int64_t max_bytes) {
  const Fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) throw_errno(path, "open");
  const int64_t size = file_size(path, file.fd);
  if (size > max_bytes) {
    throw Error(ErrorCode::kIo,
                path.string() + ": " + std::to_string(size) + " bytes is more than the limit of " +
                    std::to_string(max_bytes),
                "Check that this is the file you meant.");
  }
  std::string bytes(static_cast<size_t>(size), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::read(file.fd, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_errno(path, "read");
    if (n == 0) break;  // the file shrank while we read it
    done += static_cast<size_t>(n);
  }
  bytes.resize(done);
  return bytes;
}

void make_folders(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    throw Error(ErrorCode::kIo, path.string() + ": cannot create: " + error.message(),
                "Check the path, the permissions and the free space.");
  }
}

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)), temporary_(path_) {
  temporary_ += ".tmp" + std::to_string(::getpid());
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) throw_errno(temporary_, "create");
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_errno(path_, "write");
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

void AtomicFile::commit() {
  if (::fsync(fd_) != 0) throw_errno(temporary_, "sync");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) throw_errno(path_, "replace");
  ::close(std::exchange(fd_, -1));
}

void write_file_atomic(const std::filesystem::path& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

MappedFile::MappedFile(const std::filesystem::path& path) {
  const Fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) throw_errno(path, "open");
  size_ = static_cast<size_t>(file_size(path, file.fd));
  if (size_ == 0) return;
  void* data = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.fd, 0);
  if (data == MAP_FAILED) throw_errno(path, "map");
  data_ = static_cast<const std::byte*>(data);
  guarded_ = remember_mapped_file(path, bytes());
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      guarded_(std::exchange(other.guarded_, -1)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(guarded_, other.guarded_);
  return *this;
}

MappedFile::~MappedFile() {
  if (!data_) return;
  forget_mapped_file(guarded_);
  ::munmap(const_cast<std::byte*>(data_), size_);
}

void release_pages(std::span<const std::byte> mapped) {
  // Pages at the edges may still be in use; dropping them costs a fault, not their content.
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(mapped.data()) / page * page;
  const auto end = reinterpret_cast<uintptr_t>(mapped.data() + mapped.size());
  ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

void read_pieces(std::span<const std::byte> mapped,
                 const std::function<void(std::string_view)>& use) {
  constexpr size_t kPiece = 4 << 20;
  for (size_t at = 0; at < mapped.size(); at += kPiece) {
    const auto piece = mapped.subspan(at, std::min(kPiece, mapped.size() - at));
    use({reinterpret_cast<const char*>(piece.data()), piece.size()});
    release_pages(piece);
  }
}

}  // namespace ds4

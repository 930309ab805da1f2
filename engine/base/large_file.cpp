#include "engine/base/large_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "engine/base/files.h"
#include "engine/base/units.h"

namespace ds4 {
namespace {

constexpr int64_t kMostWaiting = int64_t{256} << 20;

// Whether `fd` is still what the name stands for: another process may have renamed it.
bool is_named(int fd, const std::filesystem::path& path) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(fd, &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

}  // namespace

LargeFile::LargeFile(std::filesystem::path path) : path_(std::move(path)), part_(path_) {
  part_ += ".part";
  while (true) {
    const int fd = ::open(part_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) throw_errno(part_, "create");
    int status = 0;
    do {
      status = ::flock(fd, LOCK_EX);
    } while (status != 0 && errno == EINTR);
    if (status == 0 && is_named(fd, part_)) {
      fd_ = fd;
      return;
    }
    const int error = errno;
    ::close(fd);
    if (status != 0) {
      errno = error;
      throw_errno(part_, "lock");
    }
  }
}

LargeFile::~LargeFile() {
  if (fd_ < 0) return;
  ::unlink(part_.c_str());  // while it is locked, so that it is ours
  ::close(fd_);
}

void LargeFile::reserve(int64_t bytes) {
  if (::ftruncate(fd_, 0) != 0) throw_errno(path_, "truncate");
  if (::fallocate(fd_, 0, 0, bytes) == 0) return;
  const bool cannot = errno == EOPNOTSUPP || errno == ENOSYS;
  if (!cannot || ::ftruncate(fd_, bytes) != 0) throw_errno(path_, "take " + format_bytes(bytes));
}

void LargeFile::write_at(int64_t offset, std::span<const std::byte> bytes) {
  waiting_ += static_cast<int64_t>(bytes.size());
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_errno(path_, "write");
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += n;
  }
  if (waiting_ < kMostWaiting) return;
  if (::fdatasync(fd_) != 0) throw_errno(path_, "sync");
  waiting_ = 0;
}

void LargeFile::commit() {
  if (::fsync(fd_) != 0) throw_errno(path_, "sync");
  if (::rename(part_.c_str(), path_.c_str()) != 0) throw_errno(path_, "replace");
  ::close(std::exchange(fd_, -1));
}

}  // namespace ds4

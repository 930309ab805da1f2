#include "runners/fetch/half_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "engine/base/hash.h"

namespace ds4::runners::fetch {

HalfFile::HalfFile(std::filesystem::path path) : path_(std::move(path)), part_(path_) {
  part_ += ".part";
  make_folders(path_.parent_path());
  fd_ = ::open(part_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd_ < 0) throw_errno(part_, "open");
  struct stat info {};
  const bool locked = ::flock(fd_, LOCK_EX | LOCK_NB) == 0;
  if (locked && ::fstat(fd_, &info) == 0 && S_ISREG(info.st_mode)) {
    size_ = info.st_size;
    return;
  }
  ::close(std::exchange(fd_, -1));
  throw Error(ErrorCode::kIo,
              part_.string() + (locked ? ": not a regular file" : ": another download writes it"),
              locked ? "Remove it." : "Wait for that one, or take another folder with --data.");
}

HalfFile::~HalfFile() {
  if (fd_ < 0) return;
  if (size_ == 0) ::unlink(part_.c_str());  // while it is locked, so that it is ours
  ::close(fd_);
}

bool HalfFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), size_);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    size_ += n;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

void HalfFile::restart() {
  if (::ftruncate(fd_, 0) != 0) throw_errno(part_, "truncate");
  size_ = 0;
}

std::string HalfFile::sha256() const {
  Sha256 hash;
  std::string piece(size_t{1} << 20, '\0');
  for (int64_t at = 0; at < size_;) {
    const ssize_t n = ::pread(fd_, piece.data(), piece.size(), at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_errno(part_, "read");
    if (n == 0) break;
    hash.update({piece.data(), static_cast<size_t>(n)});
    at += n;
  }
  return hash.hex();
}

void HalfFile::commit() {
  if (::fsync(fd_) != 0) throw_errno(part_, "sync");
  if (::rename(part_.c_str(), path_.c_str()) != 0) throw_errno(path_, "replace");
  ::close(std::exchange(fd_, -1));
}

}  // namespace ds4::runners::fetch

#include "engine/reap/stream_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "engine/base/error.h"

namespace ds4::reap {

StreamFile::StreamFile(std::filesystem::path path) : path_(std::move(path)), part_(path_) {
  part_ += ".part";
  fd_ = ::open(part_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) fail("create");
}

StreamFile::~StreamFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(part_.c_str());
}

void StreamFile::fail(const char* action) const {
  const int error = errno;
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  throw Error(ErrorCode::kIo, path_.string() + ": cannot " + action + ": " + std::strerror(error),
              full ? "Free space on that disk and give the same command again; it goes on behind "
                     "the last finished file."
                   : "Check the path and the permissions.");
}

void StreamFile::write(std::string_view bytes) {
  hash_.update(bytes);
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("write");
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

std::string StreamFile::finish() {
  if (::fsync(fd_) != 0) fail("sync");
  if (::close(fd_) != 0) {
    fd_ = -1;
    fail("close");
  }
  fd_ = -1;
  if (::rename(part_.c_str(), path_.c_str()) != 0) fail("rename");
  return hash_.hex();
}

}  // namespace ds4::reap

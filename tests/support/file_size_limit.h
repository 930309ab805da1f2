// A disk that is full beyond a file's first bytes: as long as it lives, no write of this process
// goes further than `bytes` into any file (EFBIG, as ENOSPC where the disk is the limit). Programs
// started meanwhile inherit it.
#pragma once

#include <sys/resource.h>

#include <csignal>
#include <cstdint>

namespace ds4::test_support {

class FileSizeLimit {
 public:
  explicit FileSizeLimit(uint64_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  void (*handler_)(int);
  rlimit before_{};
};

}  // namespace ds4::test_support

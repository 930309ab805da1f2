#include "probes/device/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/units.h"
#include "engine/device/error.h"
#include "probes/device/streaming.h"

namespace ds4::probes {
namespace {

constexpr const char* kGroup = "paths";
constexpr int kReaders = 8;
constexpr int64_t kFilePiece = int64_t{8} << 20;

[[noreturn]] void failed(const std::string& what) {
  throw Error(ErrorCode::kMachine, what + ": " + std::strerror(errno),
              "Name another folder with --scratch.");
}

// A descriptor that is closed at the end.
struct File {
  int fd;
  File(const std::string& path, int flags) : fd(::open(path.c_str(), flags | O_CLOEXEC)) {}
  ~File() {
    if (fd >= 0) ::close(fd);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
};

// The file; removed at the end.
class Scratch {
 public:
  Scratch(const std::filesystem::path& folder, const std::byte* numbers, int64_t bytes)
      : path_((folder / "ds4-probe-XXXXXX").string()) {
    const int fd = ::mkstemp(path_.data());
    if (fd < 0) failed("cannot make a file in " + folder.string());
    const device::HostMemory piece(kFilePiece);
    for (int64_t at = 0; at < bytes; at += kFilePiece) {
      const auto size = static_cast<size_t>(std::min(kFilePiece, bytes - at));
      DS4_CUDA(cudaMemcpy(piece.data(), numbers + at, size, cudaMemcpyDeviceToHost));
      if (::pwrite(fd, piece.data(), size, at) != static_cast<ssize_t>(size)) {
        const int error = errno;
        ::close(fd);
        ::unlink(path_.c_str());
        errno = error;
        failed("cannot write " + format_bytes(bytes) + " to " + folder.string());
      }
    }
    ::fsync(fd);  // pages that are not written cannot be dropped
    ::close(fd);
  }
  ~Scratch() { ::unlink(path_.c_str()); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class Loader {
 public:
  Loader(std::byte* to, int64_t bytes) : to_(to), bytes_(bytes) {
    for (int i = 0; i < kReaders; ++i) slots_.push_back(std::make_unique<Slot>());
  }

  /// Seconds by the wall until all of it is on the GPU.
  double load(int fd) {
    std::atomic<int64_t> next{0};
    std::vector<std::exception_ptr> errors(slots_.size());
    std::vector<std::thread> threads;
    const double begin = monotonic_seconds();
    for (size_t i = 0; i < slots_.size(); ++i) {
      threads.emplace_back([&, i] {
        try {
          read_pieces(fd, *slots_[i], next);
        } catch (...) {
          errors[i] = std::current_exception();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    const double seconds = monotonic_seconds() - begin;
    for (const auto& error : errors) {
      if (error) std::rethrow_exception(error);
    }
    return seconds;
  }

 private:
  struct Slot {
    device::Stream stream;
    device::HostMemory memory{kFilePiece};
  };

  void read_pieces(int fd, const Slot& slot, std::atomic<int64_t>& next) const {
    for (;;) {
      const int64_t at = next.fetch_add(kFilePiece);
      if (at >= bytes_) return;
      const auto size = static_cast<size_t>(std::min(kFilePiece, bytes_ - at));
      for (size_t got = 0; got < size;) {
        const ssize_t n =
            ::pread(fd, slot.memory.data() + got, size - got, at + static_cast<int64_t>(got));
        if (n <= 0) failed("the probe's file cannot be read");
        got += static_cast<size_t>(n);
      }
      DS4_CUDA(
          cudaMemcpyAsync(to_ + at, slot.memory.data(), size, cudaMemcpyHostToDevice, slot.stream));
      slot.stream.wait();
    }
  }

  std::byte* to_;
  int64_t bytes_;
  std::vector<std::unique_ptr<Slot>> slots_;
};

}  // namespace

void measure_files(Gpu& gpu, Recorder& recorder, const std::filesystem::path& folder,
                   int64_t wanted) {
  const auto space = static_cast<int64_t>(std::filesystem::space(folder).available);
  const int64_t bytes = Gpu::fitting(std::min(wanted, space / 2), 0.25);
  const std::byte* numbers = gpu.numbers(bytes).data();
  const auto sum_of = [&](const void* data) {
    read_plainly(data, bytes, Reading::kF32, gpu.total(), gpu.stream());
    return gpu.read_total();
  };
  const double expected = sum_of(numbers);
  const Scratch scratch(folder, numbers, bytes);
  const device::Memory to(bytes);
  Loader loader(to.data(), bytes);
  const auto measure = [&](const char* of, const File& file, bool drop) {
    DS4_CUDA(cudaMemset(to.data(), 0, static_cast<size_t>(bytes)));
    recorder
        .measure(kGroup, "path_rate", of,
                 [&] {
                   if (drop) ::posix_fadvise(file.fd, 0, 0, POSIX_FADV_DONTNEED);
                   return static_cast<double>(bytes) / loader.load(file.fd);
                 })
        .note = format_bytes(bytes) + ", " + std::to_string(kReaders) + " readers";
    const double sum = sum_of(to.data());
    DS4_CHECK(std::abs(sum - expected) <= 1e-12 * expected, "a file came otherwise than written");
  };
  const File direct(scratch.path(), O_RDONLY | O_DIRECT);
  if (direct.fd >= 0) {
    measure("file, past the page cache", direct, false);
  } else {
    recorder.absent(kGroup, "path_rate", "file, past the page cache",
                    "the file system of " + folder.string() + " has no direct reads");
  }
  const File buffered(scratch.path(), O_RDONLY);
  if (buffered.fd < 0) failed("cannot read " + scratch.path());
  measure("file, buffered, not in the page cache", buffered, true);
  measure("file, buffered, in the page cache", buffered, false);
}

}  // namespace ds4::probes

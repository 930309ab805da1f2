#include "probes/device/paths.h"

#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <string>

#include "engine/base/check.h"
#include "engine/base/error.h"
#include "engine/base/units.h"
#include "engine/device/error.h"
#include "probes/device/files.h"
#include "probes/device/streaming.h"
#include "probes/host_memory.h"

namespace ds4::probes {
namespace {

constexpr const char* kGroup = "paths";
constexpr int64_t kQuickBytes = int64_t{256} << 20;
constexpr int64_t kMostBytes = int64_t{2} << 30;  // managed memory included: under 4 GiB always
constexpr double kDeviceShare = 0.25, kHostShare = 0.2;  // of what is free
constexpr double kSumsAgree = 1e-4;
constexpr int64_t kCacheBytes = int64_t{16} << 20;  // of a cache on the GPU that copies go through

int64_t buffer_bytes(bool quick) {
  const int64_t host =
      static_cast<int64_t>(static_cast<double>(read_machine_memory().available_bytes) * kHostShare);
  return Gpu::fitting(std::min(quick ? kQuickBytes : kMostBytes, host), kDeviceShare);
}

// Host memory of the C library's: whole huge pages' worth, so that both kinds of pages are
// possible.
class Pageable {
 public:
  explicit Pageable(int64_t bytes) : bytes_(static_cast<size_t>(bytes)) {
    data_ = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data_ == MAP_FAILED) {
      throw Error(ErrorCode::kMachine, "no " + format_bytes(bytes) + " of memory for a probe",
                  "Free some memory.");
    }
  }
  ~Pageable() { ::munmap(data_, bytes_); }
  Pageable(const Pageable&) = delete;
  Pageable& operator=(const Pageable&) = delete;
  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
  size_t bytes_;
};

// What all paths share: the numbers on the GPU, their sum, and how fast a kernel reads a pointer.
class Paths {
 public:
  Paths(Gpu& gpu, Recorder& recorder, bool quick)
      : gpu_(gpu), recorder_(recorder), bytes_(buffer_bytes(quick)) {
    numbers_ = gpu.numbers(bytes_).data();
    read_plainly(numbers_, bytes_, Reading::kF32, gpu.total(), gpu.stream());
    expected_ = gpu.read_total();
  }

  int64_t bytes() const { return bytes_; }
  Gpu& gpu() const { return gpu_; }
  /// The numbers, written by the host into memory of its own.
  void fill(void* host) const {
    DS4_CUDA(cudaMemcpy(host, numbers_, static_cast<size_t>(bytes_), cudaMemcpyDeviceToHost));
  }
  const void* numbers() const { return numbers_; }

  /// Kernels read `data`; `before` prepares each pass and is not timed.
  void reads(const char* of, const void* data, const std::function<void()>& before = nullptr) {
    recorder_
        .measure(kGroup, "path_rate", of,
                 [&] {
                   if (before) before();
                   double* total = gpu_.total();
                   return rate([&] {
                     read_all(data, bytes_, Reading::kF32, {8, true}, total, gpu_.stream());
                   });
                 })
        .note = format_bytes(bytes_);
    check(of);
  }
  /// `copy` brings the bytes to `to` (on the GPU), or from there to the host.
  void copies(const char* of, const std::function<void()>& copy) {
    recorder_.measure(kGroup, "path_rate", of, [&] { return rate(copy); }).note =
        format_bytes(bytes_);
  }
  void check_copy(const char* of, const void* on_gpu) {
    read_plainly(on_gpu, bytes_, Reading::kF32, gpu_.total(), gpu_.stream());
    check(of);
  }
  void absent(const char* of, const char* why) { recorder_.absent(kGroup, "path_rate", of, why); }

 private:
  double rate(const std::function<void()>& work) {
    return static_cast<double>(bytes_) / gpu_.seconds(work);
  }
  void check(const char* of) {
    const double sum = gpu_.read_total();
    DS4_CHECK(std::abs(sum - expected_) <= kSumsAgree * expected_,
              std::string("other values came by the path: ") + of);
  }

  Gpu& gpu_;
  Recorder& recorder_;
  int64_t bytes_;
  const std::byte* numbers_;
  double expected_ = 0;
};

// Managed memory without any advice.
class Managed {
 public:
  explicit Managed(int64_t bytes) {
    DS4_CHECK(bytes < Gpu::free_bytes());
    DS4_CUDA(cudaMallocManaged(&data_, static_cast<size_t>(bytes)));
  }
  ~Managed() { cudaFree(data_); }
  Managed(const Managed&) = delete;
  Managed& operator=(const Managed&) = delete;
  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
};

void measure_managed(Gpu& gpu, Recorder& recorder, bool quick) {
  Paths paths(gpu, recorder, quick);
  paths.reads("device memory", paths.numbers());
  if (!gpu.attribute(cudaDevAttrConcurrentManagedAccess)) {
    paths.absent("managed memory", "this GPU cannot use it beside the processors");
    return;
  }
  {
    const device::Memory hinted = device::Memory::managed(paths.bytes(), gpu.stream());
    DS4_CUDA(cudaMemcpyAsync(hinted.data(), paths.numbers(), static_cast<size_t>(paths.bytes()),
                             cudaMemcpyDeviceToDevice, gpu.stream()));
    paths.reads("managed, hinted and brought there", hinted.data());
  }
  const Managed plain(paths.bytes());
  const Pageable numbers(paths.bytes());
  paths.fill(numbers.data());
  paths.reads("managed, no hints, first read", plain.data(), [&] {
    gpu.stream().wait();
    std::memcpy(plain.data(), numbers.data(), static_cast<size_t>(paths.bytes()));
  });
  paths.reads("managed, no hints, read again", plain.data());
}

void measure_in_place(Gpu& gpu, Recorder& recorder, bool quick) {
  Paths paths(gpu, recorder, quick);
  const bool ats = gpu.attribute(cudaDevAttrPageableMemoryAccessUsesHostPageTables) != 0;
  {
    const Pageable plain(paths.bytes());
    paths.fill(plain.data());
    if (!gpu.attribute(cudaDevAttrPageableMemoryAccess)) {
      paths.absent("pageable", "this GPU cannot read memory that is not registered");
    } else if (ats) {
      paths.reads("pageable over ATS, read in place", plain.data());
    } else {  // pages move to the GPU when it reads them, and back when the host writes
      const Pageable numbers(paths.bytes());
      paths.fill(numbers.data());
      paths.reads("pageable, first read", plain.data(), [&] {
        gpu.stream().wait();
        std::memcpy(plain.data(), numbers.data(), static_cast<size_t>(paths.bytes()));
      });
      paths.reads("pageable, read again", plain.data());
    }
    DS4_CUDA(
        cudaHostRegister(plain.data(), static_cast<size_t>(paths.bytes()), cudaHostRegisterMapped));
    void* mapped = nullptr;
    DS4_CUDA(cudaHostGetDevicePointer(&mapped, plain.data(), 0));
    paths.reads("mapped, read in place", mapped);
    DS4_CUDA(cudaHostUnregister(plain.data()));
  }
  const device::HostMemory pinned(paths.bytes());
  paths.fill(pinned.data());
  paths.reads("pinned, read in place", pinned.data());
}

void measure_copies(Gpu& gpu, Recorder& recorder, bool quick) {
  Paths paths(gpu, recorder, quick);
  const auto size = static_cast<size_t>(paths.bytes());
  const device::Memory to(paths.bytes());
  const auto brought = [&](const char* of, const void* from) {
    DS4_CUDA(cudaMemsetAsync(to.data(), 0, size, gpu.stream()));
    paths.copies(of, [&, from] {
      DS4_CUDA(cudaMemcpyAsync(to.data(), from, size, cudaMemcpyHostToDevice, gpu.stream()));
    });
    paths.check_copy(of, to.data());
  };
  {
    const Pageable plain(paths.bytes());
    paths.fill(plain.data());
    brought("cudaMemcpy from pageable memory", plain.data());
  }
  const device::HostMemory pinned(paths.bytes());
  paths.fill(pinned.data());
  brought("cudaMemcpy from pinned memory", pinned.data());
  paths.copies("cudaMemcpy to pinned memory", [&] {
    DS4_CUDA(cudaMemcpyAsync(pinned.data(), to.data(), size, cudaMemcpyDeviceToHost, gpu.stream()));
  });
  // A cache of experts: copied piece by piece to one place, each piece read there.
  double* total = gpu.total();
  const int64_t piece = std::min(kCacheBytes, paths.bytes());
  paths.copies("copied into a cache, then read", [&] {
    for (int64_t at = 0; at + piece <= paths.bytes(); at += piece) {
      DS4_CUDA(cudaMemcpyAsync(to.data(), pinned.data() + at, static_cast<size_t>(piece),
                               cudaMemcpyHostToDevice, gpu.stream()));
      read_all(to.data(), piece, Reading::kF32, {8, true}, total, gpu.stream());
    }
  });
}

}  // namespace

std::vector<Probe> path_probes(const std::shared_ptr<Gpu>& gpu, bool quick,
                               const std::filesystem::path& scratch) {
  const auto probe = [&](const char* name, double expected_s, auto measure) {
    return Probe{kGroup, name, expected_s,
                 [gpu, quick, measure](Recorder& recorder) { measure(*gpu, recorder, quick); }};
  };
  return {probe("managed memory", 2, measure_managed),
          probe("memory of the host, in place", 2, measure_in_place),
          probe("copies from the host", 2, measure_copies),
          probe("files", 5, [scratch](Gpu& g, Recorder& r, bool q) {
            measure_files(g, r, scratch, q ? kQuickBytes : kMostBytes);
          })};
}

}  // namespace ds4::probes

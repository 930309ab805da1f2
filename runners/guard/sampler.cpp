#include "runners/guard/sampler.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "engine/base/error.h"

namespace ds4::runners::guard {

Sampler::Sampler(const std::filesystem::path& proc)
    : meminfo_(::open((proc / "meminfo").c_str(), O_RDONLY | O_CLOEXEC)),
      pressure_(::open((proc / "pressure/memory").c_str(), O_RDONLY | O_CLOEXEC)),
      vmstat_(::open((proc / "vmstat").c_str(), O_RDONLY | O_CLOEXEC)) {
  Sample first;
  const int error = meminfo_ < 0 ? errno : 0;
  read(first);
  if (first.readable() && first.total > 0) return;
  const std::string why = error != 0 ? std::strerror(error) : "no MemTotal and MemAvailable in it";
  throw Error(ErrorCode::kMachine, (proc / "meminfo").string() + ": " + why,
              "The guard needs them (Linux 3.14 or newer, /proc mounted). Without a guard: "
              "guard.enabled = false.");
}

Sampler::~Sampler() {
  for (const int fd : {meminfo_, pressure_, vmstat_}) {
    if (fd >= 0) ::close(fd);
  }
}

std::string_view Sampler::text_of(int fd) noexcept {
  if (fd < 0) return {};
  const ssize_t n = ::pread(fd, buffer_.data(), buffer_.size(), 0);
  return n > 0 ? std::string_view(buffer_.data(), static_cast<size_t>(n)) : std::string_view();
}

void Sampler::read(Sample& sample) noexcept {
  sample.available = -1;
  parse_meminfo(text_of(meminfo_), sample);
  parse_pressure(text_of(pressure_), sample);
  parse_vmstat(text_of(vmstat_), sample);
}

}  // namespace ds4::runners::guard

#include "runners/doctor/sources.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

namespace ds4::runners::doctor {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostBytes = size_t{1} << 20;  // of a kernel's file; real ones are far smaller
constexpr size_t kMostShown = 80;
constexpr int64_t kMostKib = int64_t{1} << 50;

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\n") + 1 - begin);
}

}  // namespace

GpuReport ask_gpus() {
  GpuReport report;
  const auto nvml = probes::Nvml::open(report.why_none);
  if (!nvml) return report;
  report.driver = nvml->driver();
  report.cuda_version = nvml->cuda_version();
  for (size_t i = 0; i < nvml->gpus().size(); ++i) {
    report.gpus.push_back({nvml->gpus()[i], {}});
    nvml->read(i, report.gpus.back().state);
  }
  return report;
}

DiskReport ask_disk(const fs::path& folder) {
  std::error_code error;
  fs::path there = fs::absolute(folder, error);
  while (!fs::exists(there, error) && there.has_relative_path()) there = there.parent_path();
  struct statvfs info {};
  if (::statvfs(there.c_str(), &info) != 0) return {std::strerror(errno), 0, false};
  return {"", static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize),
          ::access(there.c_str(), W_OK) == 0};
}

bool reads_directly(const fs::path& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_DIRECT);
  if (fd >= 0) ::close(fd);
  return fd >= 0;
}

std::optional<std::string> Sources::text(const std::string& path) const {
  // Not waiting: what stands there may be a pipe.
  const int fd = ::open((root / path).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return std::nullopt;
  std::string bytes;
  char piece[4096];
  ssize_t n = 0;
  while (bytes.size() < kMostBytes && (n = ::read(fd, piece, sizeof piece)) > 0) {
    bytes.append(piece, static_cast<size_t>(n));
  }
  ::close(fd);
  if (n < 0 && bytes.empty()) return std::nullopt;
  return bytes;
}

std::string Sources::word(const std::string& path) const {
  return printable(trimmed(text(path).value_or("")));
}

std::string_view field(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(text.size(), end + 1));
    if (line.starts_with(key) && line.substr(key.size()).starts_with(':')) {
      return trimmed(line.substr(key.size() + 1));
    }
  }
  return {};
}

std::optional<int64_t> kib_field(std::string_view text, std::string_view key) {
  const std::string_view value = field(text, key);
  int64_t kib = -1;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), kib);
  if (error != std::errc() || kib < 0 || kib > kMostKib) return std::nullopt;
  return kib * 1024;
}

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, kMostShown)) out += c >= ' ' && c <= '~' ? c : '?';
  return text.size() > kMostShown ? out + "..." : out;
}

}  // namespace ds4::runners::doctor

// Where doctor reads: the files of the kernel under a root, and what must be asked for. Tests have
// a root and answers of their own, so that every finding can be provoked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "probes/nvml.h"

namespace ds4::runners::doctor {

struct Gpu {
  probes::GpuFacts facts;
  probes::GpuState state;
};

struct GpuReport {
  std::string why_none;  // where nothing can be asked
  std::string driver;
  int cuda_version = 0;  // 13000 = 13.0
  std::vector<Gpu> gpus;
};

/// A folder, or the nearest one above it that exists.
struct DiskReport {
  std::string problem;  // why it cannot be asked
  int64_t free_bytes = 0;
  bool writable = false;
};

GpuReport ask_gpus();
DiskReport ask_disk(const std::filesystem::path& folder);
/// Whether `file` can be read past the page cache (O_DIRECT).
bool reads_directly(const std::filesystem::path& file);

struct Sources {
  std::filesystem::path root = "/";
  std::function<GpuReport()> gpus = ask_gpus;
  std::function<DiskReport(const std::filesystem::path&)> disk = ask_disk;
  std::function<bool(const std::filesystem::path&)> direct = reads_directly;
  std::filesystem::path lock_file;  // of runs; "" = the machine's

  /// The beginning of a file below the root, such as "proc/meminfo"; none when it cannot be read.
  std::optional<std::string> text(const std::string& path) const;
  /// The same without blanks around it; "" when it cannot be read.
  std::string word(const std::string& path) const;
};

/// "Key:   123 kB" in the text of meminfo or status, in bytes; none when it is missing or absurd.
std::optional<int64_t> kib_field(std::string_view text, std::string_view key);

/// The text behind "Key:" without blanks around it; "" when it is missing.
std::string_view field(std::string_view text, std::string_view key);

/// Fit for a terminal and a log, whoever wrote it: one line, printable ASCII, not long.
std::string printable(std::string_view text);

}  // namespace ds4::runners::doctor

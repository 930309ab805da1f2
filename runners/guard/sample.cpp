#include "runners/guard/sample.h"

#include <array>
#include <charconv>

namespace ds4::runners::guard {
namespace {

constexpr std::array kFields = {
    SampleField{"available", &Sample::available},
    SampleField{"free", &Sample::free},
    SampleField{"cached", &Sample::cached},
    SampleField{"reclaimable", &Sample::reclaimable},
    SampleField{"anonymous", &Sample::anonymous},
    SampleField{"shared", &Sample::shared},
    SampleField{"mlocked", &Sample::mlocked},
    SampleField{"unevictable", &Sample::unevictable},
    SampleField{"total", &Sample::total},
    SampleField{"swap_free", &Sample::swap_free},
    SampleField{"swap_total", &Sample::swap_total},
    SampleField{"psi_some_avg10", &Sample::psi_some_avg10},
    SampleField{"psi_full_avg10", &Sample::psi_full_avg10},
    SampleField{"psi_some_us", &Sample::psi_some_us},
    SampleField{"psi_full_us", &Sample::psi_full_us},
    SampleField{"pages_scanned", &Sample::pages_scanned},
    SampleField{"pages_swapped_out", &Sample::pages_swapped_out},
    SampleField{"gpu_processes", &Sample::gpu_processes},
    SampleField{"gpu_target", &Sample::gpu_target},
    SampleField{"gpu_free", &Sample::gpu_free},
    SampleField{"gpu_temperature", &Sample::gpu_temperature},
    SampleField{"gpu_clock", &Sample::gpu_clock},
    SampleField{"gpu_memory_clock", &Sample::gpu_memory_clock},
    SampleField{"gpu_throttle", &Sample::gpu_throttle},
    SampleField{"nvrm_lines", &Sample::nvrm_lines},
};

struct Wanted {
  std::string_view key;
  int64_t Sample::*value;
};

constexpr std::array kMeminfo = {
    Wanted{"MemTotal", &Sample::total},
    Wanted{"MemFree", &Sample::free},
    Wanted{"MemAvailable", &Sample::available},
    Wanted{"Cached", &Sample::cached},
    Wanted{"SReclaimable", &Sample::reclaimable},
    Wanted{"AnonPages", &Sample::anonymous},
    Wanted{"Shmem", &Sample::shared},
    Wanted{"Mlocked", &Sample::mlocked},
    Wanted{"Unevictable", &Sample::unevictable},
    Wanted{"SwapFree", &Sample::swap_free},
    Wanted{"SwapTotal", &Sample::swap_total},
};

// The first line of `text`, which moves behind it.
std::string_view next_line(std::string_view& text) {
  const size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

// The whole number that `text` begins with, behind blanks; -1 without one.
int64_t leading_integer(std::string_view text) {
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(' ')));
  int64_t value = -1;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  return result.ec == std::errc() && value >= 0 ? value : -1;
}

// The text behind `key` in `line`, "" when it is not there.
std::string_view behind(std::string_view line, std::string_view key) {
  const size_t at = line.find(key);
  return at == std::string_view::npos ? std::string_view() : line.substr(at + key.size());
}

// "12.34" as 1234: pressure averages always have two decimals.
int64_t hundredths(std::string_view text) {
  const int64_t whole = leading_integer(text);
  const int64_t part = leading_integer(behind(text.substr(0, text.find(' ')), "."));
  return whole < 0 || part < 0 ? -1 : whole * 100 + part;
}

}  // namespace

std::span<const SampleField> sample_fields() {
  return kFields;
}

void parse_meminfo(std::string_view text, Sample& sample) {
  while (!text.empty()) {
    const std::string_view line = next_line(text);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    for (const Wanted& wanted : kMeminfo) {
      if (line.substr(0, colon) != wanted.key) continue;
      const int64_t kib = leading_integer(line.substr(colon + 1));
      if (kib >= 0) sample.*wanted.value = kib * 1024;
    }
  }
}

void parse_pressure(std::string_view text, Sample& sample) {
  while (!text.empty()) {
    const std::string_view line = next_line(text);
    const bool some = line.starts_with("some ");
    if (!some && !line.starts_with("full ")) continue;
    const int64_t average = hundredths(behind(line, "avg10="));
    const int64_t total = leading_integer(behind(line, "total="));
    (some ? sample.psi_some_avg10 : sample.psi_full_avg10) = average;
    (some ? sample.psi_some_us : sample.psi_full_us) = total;
  }
}

void parse_vmstat(std::string_view text, Sample& sample) {
  int64_t scanned = -1;
  while (!text.empty()) {
    const std::string_view line = next_line(text);
    const size_t blank = line.find(' ');
    if (blank == std::string_view::npos) continue;
    const std::string_view key = line.substr(0, blank);
    if (key == "pgscan_kswapd" || key == "pgscan_direct") {
      scanned = std::max<int64_t>(scanned, 0) + leading_integer(line.substr(blank));
    } else if (key == "pswpout") {
      sample.pages_swapped_out = leading_integer(line.substr(blank));
    }
  }
  if (scanned >= 0) sample.pages_scanned = scanned;
}

}  // namespace ds4::runners::guard

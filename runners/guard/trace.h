// The telemetry of a guard as text: written while it watches, read when a trace is replayed or a
// launch is explained. docs/guard.md describes the format.
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runners/guard/rules.h"

namespace ds4::runners::guard {

/// Writes lines into a buffer of its own: no allocation. A sample's line holds what changed since
/// the sample before it; the first holds everything that is known.
class TraceWriter {
 public:
  /// One line with its newline, valid until the next call.
  std::string_view line(const Sample& sample) noexcept;
  /// Something that happened: "soft", "hard", "ended" and why; `why` may be "".
  std::string_view event(double time_s, std::string_view what, std::string_view why) noexcept;

 private:
  std::array<char, 2048> buffer_;
  Sample last_;
  bool begun_ = false;
};

/// The first line of a telemetry file, with its newline: limits, boot id, notes.
std::string trace_header(const Limits& limits, const std::vector<std::string>& notes);

struct TraceEvent {
  double time_s = 0;
  std::string what, why;
};

struct Trace {
  std::optional<Limits> limits;  // a trace written by hand may have none
  std::string boot_id, started_at;
  std::vector<Sample> samples;
  std::vector<TraceEvent> events;
  bool torn = false;  // the last line is cut: the machine or the guard stopped while writing it
};

/// Reads a telemetry file. A cut last line is left out. Throws Error(kIo) when it cannot be read
/// and Error(kUsage) "FILE:LINE: ..." for anything that is no telemetry.
Trace read_trace(const std::filesystem::path& path);

/// Limits as JSON text and back, for the header and for the guard's setup.
std::string limits_to_json(const Limits& limits);
/// Throws std::exception when it is not of that form.
Limits limits_from_json(std::string_view text);

}  // namespace ds4::runners::guard

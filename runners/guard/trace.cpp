#include "runners/guard/trace.h"

#include <charconv>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/files.h"

namespace ds4::runners::guard {
namespace {

using nlohmann::json;

constexpr const char* kFormat = "ds4-telemetry-1";

// Appends to a fixed buffer; what does not fit is left out (every line of ours fits).
class Text {
 public:
  Text(char* begin, size_t size) : begin_(begin), at_(begin), end_(begin + size) {}

  void add(std::string_view text) {
    const size_t n = std::min(text.size(), static_cast<size_t>(end_ - at_));
    std::memcpy(at_, text.data(), n);
    at_ += n;
  }
  void add(int64_t value) {
    const auto result = std::to_chars(at_, end_, value);
    if (result.ec == std::errc()) at_ = result.ptr;
  }
  void add_seconds(double seconds) {  // milliseconds are as fine as a sample's time is known
    const auto result = std::to_chars(at_, end_, seconds, std::chars_format::fixed, 3);
    if (result.ec == std::errc()) at_ = result.ptr;
  }
  std::string_view text() const { return {begin_, static_cast<size_t>(at_ - begin_)}; }

 private:
  char *begin_, *at_, *end_;
};

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

void read_header(const json& j, Trace& trace) {
  if (j.at("format") != kFormat) {
    throw std::invalid_argument("format " + j.at("format").dump() + "; this build reads " +
                                kFormat);
  }
  if (j.contains("limits")) trace.limits = limits_from_json(j.at("limits").dump());
  trace.boot_id = j.value("boot_id", "");
  trace.started_at = j.value("started_at", "");
}

void read_line(const json& j, Sample& state, Trace& trace) {
  if (j.contains("format")) return read_header(j, trace);
  if (j.contains("event")) {
    trace.events.push_back({j.at("t"), j.at("event"), j.value("why", "")});
    return;
  }
  for (const auto& [key, value] : j.items()) {
    if (key == "t") {
      value.get_to(state.time_s);
    } else if (key == "phase") {
      const auto phase = phase_of(value.get<std::string>());
      if (!phase) throw std::invalid_argument("unknown phase " + value.dump());
      state.phase = *phase;
    } else {
      bool known = false;
      for (const SampleField& field : sample_fields()) {
        if (field.name != key) continue;
        value.get_to(state.*field.value);
        known = true;
      }
      if (!known) throw std::invalid_argument("unknown field `" + key + "`");
    }
  }
  if (!j.contains("t")) throw std::invalid_argument("a sample without its time `t`");
  trace.samples.push_back(state);
}

}  // namespace

std::string_view TraceWriter::line(const Sample& sample) noexcept {
  Text text(buffer_.data(), buffer_.size());
  text.add("{\"t\":");
  text.add_seconds(sample.time_s);
  if (!begun_ || sample.phase != last_.phase) {
    text.add(",\"phase\":\"");
    text.add(name(sample.phase));
    text.add("\"");
  }
  for (const SampleField& field : sample_fields()) {
    const int64_t value = sample.*field.value;
    if (begun_ ? value == last_.*field.value : value < 0) continue;
    text.add(",\"");
    text.add(field.name);
    text.add("\":");
    text.add(value);
  }
  text.add("}\n");
  last_ = sample;
  begun_ = true;
  return text.text();
}

std::string_view TraceWriter::event(double time_s, std::string_view what,
                                    std::string_view why) noexcept {
  Text text(buffer_.data(), buffer_.size());
  text.add("{\"t\":");
  text.add_seconds(time_s);
  text.add(",\"event\":\"");
  text.add(what);
  if (!why.empty()) {
    text.add("\",\"why\":\"");
    text.add(why);
  }
  text.add("\"}\n");
  return text.text();
}

std::string limits_to_json(const Limits& limits) {
  json floors;
  for (int i = 0; i < kPhases; ++i) {
    const auto phase = static_cast<Phase>(i);
    floors[std::string(name(phase))] = limits.floor(phase);
  }
  return json{{"floor_bytes", floors},
              {"rate_hz", limits.rate_hz},
              {"reaction_s", limits.reaction_s},
              {"grace_s", limits.grace_s}}
      .dump();
}

Limits limits_from_json(std::string_view text) {
  const json j = json::parse(text);
  Limits limits;
  for (int i = 0; i < kPhases; ++i) {
    const std::string phase(name(static_cast<Phase>(i)));
    j.at("floor_bytes").at(phase).get_to(limits.floor_bytes[static_cast<size_t>(i)]);
  }
  j.at("rate_hz").get_to(limits.rate_hz);
  j.at("reaction_s").get_to(limits.reaction_s);
  j.at("grace_s").get_to(limits.grace_s);
  return limits;
}

std::string trace_header(const Limits& limits, const std::vector<std::string>& notes) {
  return json{{"format", kFormat},
              {"limits", json::parse(limits_to_json(limits))},
              {"boot_id", boot_id()},
              {"started_at", utc_now()},
              {"notes", notes}}
             .dump(-1, ' ', false, json::error_handler_t::replace) +
         "\n";
}

Trace read_trace(const std::filesystem::path& path) {
  const std::string text = read_file(path);
  Trace trace;
  Sample state;
  int number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    const std::string_view line = std::string_view(text).substr(at, end - at);
    ++number;
    if (end == std::string::npos) {
      trace.torn = true;
      break;
    }
    at = end + 1;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    try {
      read_line(json::parse(line), state, trace);
    } catch (const std::exception& e) {
      throw Error(ErrorCode::kUsage,
                  path.string() + ":" + std::to_string(number) + ": no telemetry: " + e.what(),
                  "docs/guard.md describes the format; `ds4-sweep run` and `ds4-sweep guard "
                  "--telemetry` write it.");
    }
  }
  return trace;
}

}  // namespace ds4::runners::guard

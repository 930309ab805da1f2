#include "runners/guard/client.h"

#include <nlohmann/json.hpp>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/files.h"
#include "probes/host_memory.h"
#include "runners/guard/limits.h"
#include "runners/guard/watch.h"

namespace ds4::runners::guard {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds kAnswer{10000};  // arming reads a few files and syncs one
// A guard says every second that it is there. Longer than this it is stopped, or starved: then it
// does not protect either.
constexpr double kSilence_s = 10;

std::string setup_line(const Limits& limits, const std::filesystem::path& telemetry) {
  make_folders(telemetry.parent_path());
  Setup setup;
  setup.limits = limits;
  setup.telemetry = telemetry;
  return setup_to_json(setup) + "\n";
}

[[noreturn]] void fail(const std::string& what, const std::string& hint) {
  throw Error(ErrorCode::kMachine, "the memory guard: " + what, hint);
}

}  // namespace

Client::Client(const profiles::Profile& profile, const std::filesystem::path& telemetry)
    : total_bytes_(probes::read_machine_memory().total_bytes),
      limits_(limits_of(profile, total_bytes_)),
      process_({"guard-process"}, setup_line(limits_, telemetry), {},
               {.outlives_us = true, .keep_input = true}),
      target_(profile.guard.target),
      armed_s_(monotonic_seconds()) {
  wait_for_answer();
  armed_s_ = heard_s_ = monotonic_seconds();
}

Client::Heard Client::take(const std::string& line) {
  heard_s_ = monotonic_seconds();
  try {
    const json j = json::parse(line);
    const std::string type = j.at("type");
    available_bytes_ = j.value("available", available_bytes_);
    device_target_bytes_ = j.value("gpu_target", device_target_bytes_);
    device_free_bytes_ = j.value("gpu_free", device_free_bytes_);
    if (type == "error") fail(j.at("what"), j.at("hint"));
    if (type == "armed") {
      j.at("notes").get_to(notes_);
      return Heard::kArmed;
    }
    if (type == "watching") return Heard::kWatching;
    if (type == "refused" || type == "ended") {
      most_used_bytes_ = j.value("most_used", most_used_bytes_);
      if (!j.at("verdict").is_null()) verdict_ = verdict_from_json(j.at("verdict").dump());
      return type == "ended" ? Heard::kEnded : Heard::kRefused;
    }
  } catch (const json::exception&) {
    // A torn line of a guard that was killed; its end is noticed by itself.
  }
  return Heard::kNothing;
}

Client::Heard Client::wait_for_answer() {
  std::string line;
  const double deadline_s = monotonic_seconds() + static_cast<double>(kAnswer.count()) / 1000;
  while (monotonic_seconds() < deadline_s) {
    const ChildProcess::Wait event = process_.wait_line(milliseconds(200), line);
    if (event == ChildProcess::Wait::kEnded) {
      if (process_.wait_exit().signal != 0) {
        lost_ = true;
        verdict_ = lost_verdict();
        return Heard::kEnded;
      }
      fail("it ended when it was started: " + process_.log_tail(),
           "Nothing is run without it; guard.enabled = false turns it off.");
    }
    if (event != ChildProcess::Wait::kLine) continue;
    const Heard heard = take(line);
    if (heard != Heard::kNothing) return heard;
  }
  fail("no answer for 10 s", "The machine may be out of memory or its disk may hang.");
}

void Client::watch(pid_t pid) {
  const auto stat = read_stat(pid);
  process_.send(target_ != "worker" ? "watch " + target_ + "\n"
                                    : "watch " + std::to_string(pid) + " " +
                                          std::to_string(stat ? stat->start_ticks : 0) + "\n");
  try {
    wait_for_answer();
  } catch (const Error& error) {
    lost_ = true;
    error_ = error.what();
  }
}

void Client::phase(Phase phase) {
  if (phase == phase_) return;
  phase_ = phase;
  process_.send("phase " + std::string(name(phase)) + "\n");
}

std::optional<Client::Memory> Client::memory() const {
  if (available_bytes_ < 0) return std::nullopt;
  return Memory{total_bytes_, available_bytes_, limits_.floor(phase_), device_target_bytes_,
                device_free_bytes_};
}

bool Client::listen() {
  std::string line;
  ChildProcess::Wait event = ChildProcess::Wait::kTimeout;
  try {
    while (!lost_ &&
           (event = process_.wait_line(milliseconds(0), line)) == ChildProcess::Wait::kLine) {
      take(line);
    }
  } catch (const Error& error) {
    lost_ = true;
    error_ = error.what();
  }
  lost_ =
      lost_ || event == ChildProcess::Wait::kEnded || monotonic_seconds() - heard_s_ > kSilence_s;
  return !lost_;
}

Verdict Client::lost_verdict() const {
  Verdict verdict;
  verdict.action = Action::kLost;
  verdict.rule = Rule::kGuardGone;
  verdict.phase = phase_;
  verdict.at = utc_now();
  verdict.time_s = monotonic_seconds() - armed_s_;
  return verdict;
}

std::optional<Verdict> Client::finish() {
  std::string line;
  if (!lost_) {
    process_.send("end\n");
    const double deadline_s = monotonic_seconds() + static_cast<double>(kAnswer.count()) / 1000;
    while (monotonic_seconds() < deadline_s) {
      const ChildProcess::Wait event = process_.wait_line(milliseconds(200), line);
      if (event == ChildProcess::Wait::kEnded) break;
      if (event == ChildProcess::Wait::kLine) take(line);
    }
  }
  process_.kill();  // no effect on one that has ended
  process_.wait_exit();
  if (lost_ && !verdict_) verdict_ = lost_verdict();
  return verdict_;
}

}  // namespace ds4::runners::guard

#include "runners/outcome/unfinished.h"

#include <algorithm>
#include <deque>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/base/error.h"
#include "runners/outcome/classify.h"
#include "runners/outcome/kernel_watch.h"

namespace ds4::runners::outcome {
namespace {

constexpr size_t kLinesShown = 3;

enum class Fate { kAlive, kElsewhere, kGone };

Fate fate_of(const reports::LaunchOrigin& origin) {
  if (origin.machine != machine_mark()) return Fate::kElsewhere;
  if (origin.boot_id != boot_id()) return Fate::kGone;
  const bool alive =
      origin.supervisor_pid > 0 &&
      start_ticks(static_cast<pid_t>(origin.supervisor_pid)) == origin.supervisor_ticks;
  return alive ? Fate::kAlive : Fate::kGone;
}

bool to_be_settled(const reports::LaunchRow& launch) {
  return launch.outcome == "running" && fate_of(launch.origin) == Fate::kGone;
}

// The first planned case of the cell without an attempt: what was in work, or next.
std::string next_case(reports::Store& store, const std::string& run_id,
                      const std::string& cell_key) {
  std::set<std::pair<std::string, std::string>> tried;
  for (const reports::StoredAttempt& attempt : store.attempts(run_id, false)) {
    if (attempt.cell_key == cell_key) tried.emplace(attempt.suite, attempt.case_id);
  }
  for (const reports::CellRow& cell : store.cells(run_id)) {
    if (cell.key != cell_key) continue;
    for (const reports::PlannedCase& planned : cell.cases) {
      if (!tried.contains({planned.suite, planned.case_id})) {
        return planned.suite + "/" + planned.case_id;
      }
    }
  }
  return "";
}

void settle(reports::Store& store, const std::string& run_id, reports::LaunchRow launch) {
  Evidence evidence;
  evidence.ended = false;
  evidence.other_boot = launch.origin.boot_id != boot_id();
  evidence.oom_kills = read_kernel_counters().oom_kills - launch.origin.oom_kills;
  evidence.last_reading = last_reading(launch.origin.telemetry);
  evidence.next_case = next_case(store, run_id, launch.cell_key);
  if (evidence.last_reading) {
    launch.phase = evidence.phase = evidence.last_reading->phase;
    launch.seconds = evidence.last_reading->time_s;
  }
  const Finding finding = classify(evidence);
  launch.outcome = finding.outcome;
  launch.message = finding.message;
  store.end_launch(run_id, launch, {});
}

}  // namespace

int settle_unfinished(reports::Store& store) {
  int settled = 0;
  for (const reports::RunRow& run : store.runs()) {
    if (!run.finished_at.empty()) continue;
    for (const reports::LaunchRow& launch : store.launches(run.id)) {
      if (!to_be_settled(launch)) continue;
      settle(store, run.id, launch);
      ++settled;
    }
  }
  return settled;
}

void settle_unfinished(const std::filesystem::path& database) {
  const auto unsettled = [](reports::Store& store) {
    const auto runs = store.runs();
    return std::any_of(runs.begin(), runs.end(), [&](const reports::RunRow& run) {
      if (!run.finished_at.empty()) return false;
      const auto launches = store.launches(run.id);
      return std::any_of(launches.begin(), launches.end(), to_be_settled);
    });
  };
  if (!unsettled(*reports::Store::open_read_only(database))) return;
  try {
    settle_unfinished(*reports::Store::open(database));
  } catch (const Error&) {
    // A read-only copy: it shows "running", which its own text explains.
  }
}

std::optional<LastReading> last_reading(const std::filesystem::path& telemetry) {
  std::ifstream file(telemetry, std::ios::binary);
  if (telemetry.empty() || !file) return std::nullopt;
  std::optional<LastReading> last;
  std::deque<std::string> lines;  // the last whole ones
  std::string line;
  while (std::getline(file, line)) {
    // A machine that stops may leave a torn line, or a block of zeros.
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object() || !json.contains("t")) continue;
    if (!last) last.emplace();
    try {  // a line holds what changed
      last->time_s = json.value("t", last->time_s);
      last->available_bytes = json.value("available", last->available_bytes);
      last->phase = json.value("phase", last->phase);
    } catch (const nlohmann::json::exception&) {
      continue;
    }
    lines.push_back(line);
    if (lines.size() > kLinesShown) lines.pop_front();
  }
  for (const std::string& shown : lines) {
    last->lines += (last->lines.empty() ? "" : "\n") + shown;
  }
  return last;
}

}  // namespace ds4::runners::outcome

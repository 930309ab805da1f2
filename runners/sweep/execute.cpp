#include "runners/sweep/execute.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/units.h"
#include "probes/host_memory.h"
#include "profiles/schema/plan.h"
#include "runners/fit/remedy.h"
#include "runners/fit/verdict.h"
#include "runners/guard/limits.h"
#include "runners/sweep/domination.h"
#include "runners/sweep/observation.h"
#include "runners/sweep/sentinel.h"
#include "runners/sweep/settle.h"

namespace ds4::runners::sweep {
namespace {

constexpr auto kLook = std::chrono::milliseconds(250);  // between looks at the memory

// A cell of the run with what decides about its turns.
struct Cell {
  reports::CellRow row;
  profiles::Cell cell;
  fit::Prediction prediction;
  Need need(int64_t memory_bytes) const {
    return {cell.profile, prediction, row.cases, guard::limits_of(cell.profile, memory_bytes)};
  }
};

class Walk {
 public:
  Walk(reports::Store& store, const std::string& run_id, const Observer& observer, bool retry)
      : store_(store),
        run_id_(run_id),
        observer_(observer),
        settling_(probes::read_machine_memory().available_bytes) {
    for (reports::CellRow& row : store.cells(run_id)) {
      Cell cell{row, profiles::cell_from_json(row.settings), {}};
      const std::string key = row.key;
      cells_.emplace(key, std::move(cell));
    }
    queue_ = store.queue(run_id);
    if (retry) give_all_a_turn();
    state_.turns = turn_states(queue_, store.cells(run_id), store.launches(run_id),
                               store.attempts(run_id, false));
  }

  void run() {
    for (size_t i = 0; i < queue_.size() && !g_interrupted; ++i) {
      begin_turn(i);
      take(queue_[i]);
    }
  }

 private:
  void begin_turn(size_t i) {
    RunState next;
    next.run_id = run_id_;
    next.run_elapsed_s = monotonic_seconds() - start_s_;
    next.cell = static_cast<int>(i) + 1;
    next.n_cells = static_cast<int>(queue_.size());
    next.turns = std::move(state_.turns);
    next.pattern_s = std::move(state_.pattern_s);
    state_ = std::move(next);
  }

  // The turn that was begun, for who looks on.
  TurnState& shown() { return state_.turns.at(static_cast<size_t>(state_.cell) - 1); }

  void give_all_a_turn() {
    for (reports::TurnRow& turn : queue_) {
      if (is_left_out(turn)) close(turn, "waiting", "");
    }
    for (const reports::LaunchRow& launch : store_.launches(run_id_)) {
      forgiven_.emplace(launch.cell_key, launch.number);
    }
  }

  static bool is_left_out(const reports::TurnRow& turn) {
    return turn.state == "skipped" || turn.state == "refused";
  }

  void close(reports::TurnRow& turn, const std::string& state, const std::string& reason) {
    turn.state = state;
    turn.reason = reason;
    store_.set_turn(run_id_, turn, std::nullopt);
  }

  // By value: the queue may grow meanwhile.
  void take(reports::TurnRow turn) {
    if (is_left_out(turn)) return;
    Cell& cell = cells_.at(turn.cell_key);
    state_.cell_label = cell.row.label;
    const Assignment assignment = missing(turn, cell);
    if (assignment.done.size() == cell.row.cases.size()) {
      if (turn.state == "waiting") decide(turn, cell);  // ended between its last case and that
      return;
    }
    if (turn.need_bytes > 0) cell.prediction = fit::predict(cell.cell.profile);
    if (const auto [state, reason] = obstacle(turn, cell); !state.empty()) {
      close(turn, state, reason);
      queue_[static_cast<size_t>(turn.ordinal)] = turn;
      shown().outcome = state;
      say(state + ": " + reason);
      return;
    }
    launch(turn, cell, assignment);
    if (!g_interrupted) decide(turn, cell);
  }

  // The cell's k-th turn is to bring every case to k answers. Those it has are counted.
  Assignment missing(const reports::TurnRow& turn, const Cell& cell) {
    int k = 0;
    for (const reports::TurnRow& other : queue_) {
      k += other.cell_key == turn.cell_key && other.ordinal <= turn.ordinal && !is_left_out(other);
    }
    Assignment assignment{cell.cell, {}};
    std::map<std::pair<std::string, std::string>, int> answers;
    for (const reports::StoredAttempt& attempt : store_.attempts(run_id_, false)) {
      if (attempt.cell_key != turn.cell_key || attempt.status != "ok") continue;
      if (++answers[{attempt.suite, attempt.case_id}] == k) {
        assignment.done.emplace(attempt.suite, attempt.case_id);
        state_.tally.add(attempt, attempt.score);
      }
    }
    return assignment;
  }

  // Why a turn is not taken: its state and reason; two empty texts when nothing speaks against it.
  std::pair<std::string, std::string> obstacle(const reports::TurnRow& turn, const Cell& cell) {
    const profiles::SweepSection& sweep = cell.cell.profile.sweep;
    if (sweep.skip_dominated) {
      if (std::string reason = dominated(turn, cell); !reason.empty()) return {"skipped", reason};
    }
    if (sweep.refuse_unfit) {
      if (std::string reason = unfit(cell); !reason.empty()) return {"refused", reason};
    }
    return {};
  }

  std::string dominated(const reports::TurnRow& turn, const Cell& cell) {
    for (const reports::LaunchRow& launch : store_.launches(run_id_)) {
      if (forgiven_.contains({launch.cell_key, launch.number})) continue;
      const bool itself = launch.cell_key == turn.cell_key;
      if (itself && (took_the_machine_down(launch) || ran_out_of_memory(launch))) {
        return "its launch " + std::to_string(launch.number) + " ended with " + launch.outcome;
      }
      if (itself || !ran_out_of_memory(launch)) continue;
      Cell& other = cells_.at(launch.cell_key);
      if (turn.need_bytes > 0 && other.prediction.owners.empty()) {
        other.prediction = fit::predict(other.cell.profile);
      }
      if (needs_as_much(cell.need(memory_bytes_), other.need(memory_bytes_), launch)) {
        return "it needs at least as much memory as " + other.row.label + ", which ended with " +
               launch.outcome;
      }
    }
    return "";
  }

  std::string unfit(const Cell& cell) {
    if (cell.prediction.owners.empty() || !machine()) return "";
    const fit::Verdict verdict =
        fit::judge(cell.prediction, *machine(), fit::floors_of(cell.cell.profile, *machine()));
    if (verdict.fit != fit::Fit::kDoesNotFit) return "";
    std::string text = "it needs " + format_bytes(verdict.need) + " of " + verdict.memory + " in " +
                       fit::phase_name(verdict.phase) + ", and " +
                       format_bytes(std::max<int64_t>(0, verdict.usable)) +
                       " can be had above the floor";
    const auto remedies = fit::remedies(cell.cell.profile, *machine());
    if (!remedies.empty()) {
      text += "; it fits with " + remedies.front().key + " = " + remedies.front().value;
    }
    return text;
  }

  // This machine before the first launch that is predicted; nothing when it cannot be read, which
  // the worker will then say better.
  const std::optional<profiles::Machine>& machine() {
    if (machine_is_known_) return machine_;
    machine_is_known_ = true;
    const bool cuda = std::any_of(cells_.begin(), cells_.end(), [](const auto& entry) {
      return entry.second.cell.profile.engine.device == "cuda";
    });
    try {
      machine_ = observe(cuda ? "cuda" : "cpu", false).machine;
    } catch (const Error&) {
    }
    return machine_;
  }

  void launch(const reports::TurnRow& turn, const Cell& cell, const Assignment& assignment) {
    const profiles::SweepSection& sweep = cell.cell.profile.sweep;
    const double settle_s = settle(sweep);
    if (g_interrupted) return;
    Surroundings around;
    around.before = {
        {"available_memory", static_cast<double>(probes::read_machine_memory().available_bytes), 0,
         "before"},
        {"settle_time", settle_s, 0, "before"}};
    if (sweep.sentinel) look_around(cell, around);
    state_.phase = "start";
    state_.phase_detail = "";
    int number = 0;
    for (const reports::LaunchRow& launch : store_.launches(run_id_)) {
      if (launch.cell_key == turn.cell_key) number = std::max(number, launch.number);
    }
    state_.run_elapsed_s = monotonic_seconds() - start_s_;
    state_.elapsed_s = 0;
    observer_(state_);
    show_end(run_cell(store_, run_id_, assignment, number + 1, state_, observer_, around));
  }

  void show_end(const reports::LaunchRow& launch) {
    shown().outcome = launch.outcome;
    shown().seconds += launch.seconds;
    shown().count(state_.tally);
    if (state_.cases_done == shown().n_cases) {
      state_.pattern_s = state_.case_ends_s;
    }
  }

  // Waits until memory is back at its baseline. Returns the seconds it took.
  double settle(const profiles::SweepSection& sweep) {
    const double begin = monotonic_seconds();
    settling_.begin(sweep.settle_tolerance, sweep.settle_timeout_s, begin);
    state_.phase = "settle";
    while (!g_interrupted) {
      const auto state =
          settling_.look(probes::read_machine_memory().available_bytes, monotonic_seconds());
      if (state == Settling::State::kSettled) break;
      const std::string missing = format_bytes(settling_.missing()) + " below the baseline";
      if (state == Settling::State::kTimedOut) {
        say("memory is " + missing + " after " + format_seconds(sweep.settle_timeout_s) +
            "; going on");
        break;
      }
      state_.phase_detail = missing;
      state_.elapsed_s = monotonic_seconds() - begin;
      state_.run_elapsed_s = monotonic_seconds() - start_s_;
      observer_(state_);
      std::this_thread::sleep_for(kLook);
    }
    return monotonic_seconds() - begin;
  }

  // Reads the sentinel now and has it read again when the worker is gone.
  void look_around(const Cell& cell, Surroundings& around) {
    const std::string device = cell.cell.profile.engine.device;
    const double bound = cell.cell.profile.sweep.sentinel_bound;
    state_.phase = "sentinel";
    observer_(state_);
    const auto read = [device](const char* when) -> std::vector<probes::Sample> {
      try {
        return sentinel_samples(observe(device, true).sentinel.value_or(probes::SentinelReading{}),
                                when, 0);
      } catch (const Error&) {  // no such device: the worker says it better
        return {};
      }
    };
    const std::vector<probes::Sample> before = read("before");
    around.before.insert(around.before.end(), before.begin(), before.end());
    around.after = [this, device, bound, before, read](std::vector<probes::Sample>& samples) {
      std::vector<probes::Sample> readings = read("after");
      samples.insert(samples.end(), readings.begin(), readings.end());
      readings.insert(readings.end(), before.begin(), before.end());
      std::vector<probes::Sample> all = readings;  // of this run on this device
      for (const reports::LaunchSample& sample : store_.launch_samples(run_id_)) {
        if (cells_.at(sample.cell_key).cell.profile.engine.device == device) {
          all.push_back(sample.sample);
        }
      }
      return slow_state(readings, best_sentinel(all), bound);
    };
  }

  // After a launch: what its turn has come to. A slow one is repeated once, at the end of the
  // queue, when whatever slowed the machine may be over.
  void decide(reports::TurnRow& turn, const Cell& cell) {
    const auto launches = store_.launches(run_id_);
    const auto newest = std::find_if(launches.rbegin(), launches.rend(), [&](const auto& launch) {
      return launch.cell_key == turn.cell_key;
    });
    const bool slow = newest != launches.rend() && newest->outcome == "SLOW_STATE";
    turn.state = slow && turn.again_of < 0 ? "slow" : "done";
    turn.reason = slow ? newest->message : "";
    std::optional<reports::TurnRow> again;
    if (turn.state == "slow") {
      again = reports::TurnRow{
          .cell_key = turn.cell_key, .need_bytes = turn.need_bytes, .again_of = turn.ordinal};
      say("slow state, repeated at the end: " + cell.row.label + ": " + turn.reason);
    }
    store_.set_turn(run_id_, turn, again);
    queue_ = store_.queue(run_id_);
    if (again) {
      state_.turns.push_back(
          {.label = cell.row.label + " again", .n_cases = static_cast<int>(cell.row.cases.size())});
    }
  }

  // A line of its own among the progress.
  void say(const std::string& note) {
    state_.note = note;
    observer_(state_);
    state_.note.clear();
  }

  reports::Store& store_;
  const std::string& run_id_;
  const Observer& observer_;
  std::map<std::string, Cell> cells_;  // by key
  std::vector<reports::TurnRow> queue_;
  std::set<std::pair<std::string, int>> forgiven_;  // launches that are no reason to skip
  const int64_t memory_bytes_ = probes::read_machine_memory().total_bytes;
  Settling settling_;
  bool machine_is_known_ = false;
  std::optional<profiles::Machine> machine_;
  const double start_s_ = monotonic_seconds();
  RunState state_;
};

}  // namespace

void execute(reports::Store& store, const std::string& run_id, const Observer& observer,
             bool retry) {
  store.finish_run(run_id, "");  // a run that is gone on with can be interrupted again
  Walk(store, run_id, observer, retry).run();
  if (!g_interrupted) store.finish_run(run_id, utc_now());
}

}  // namespace ds4::runners::sweep

#include "runners/supervisor.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/units.h"
#include "reports/figures/figure.h"
#include "runners/guard/client.h"
#include "runners/guard/course.h"
#include "runners/guard/strays.h"
#include "runners/managed/limits.h"
#include "runners/outcome/classify.h"
#include "runners/outcome/guard_act.h"
#include "runners/outcome/kernel_watch.h"
#include "runners/outcome/phrases.h"
#include "runners/process.h"
#include "runners/progress/rate.h"
#include "runners/progress/roof.h"

namespace ds4::runners {

volatile bool g_interrupted = false;

namespace {

// A worker enforces `limits.case_timeout` itself while it is healthy; the supervisor steps in this
// much later, when the worker is deaf.
constexpr double kDeafness_s = 5;

// Memory that was swapped while a cell ran: less is background noise of any machine.
constexpr int64_t kSwapNoise_bytes = int64_t{64} << 20;

// Set when this process goes on after it was stopped (Ctrl-Z, SIGSTOP): the pause was no wedge.
volatile bool g_continued = false;

void on_continue(int) {
  g_continued = true;
}

void on_interrupt(int) {
  if (g_interrupted) ::_exit(130);
  g_interrupted = true;
}

std::string join(const std::vector<std::string>& names, const char* between = ", ") {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : between) + name;
  return text;
}

// One launch: the state between the first line of a worker and its end.
class Launch {
 public:
  Launch(reports::Store& store, const std::string& run_id, const Assignment& assignment, int number,
         RunState& state, const Observer& observer, const Surroundings& around)
      : store_(store),
        run_id_(run_id),
        assignment_(assignment),
        state_(state),
        observer_(observer),
        around_(around),
        samples_(around.before),
        start_(monotonic_seconds()),
        run_before_s_(state.run_elapsed_s),
        case_start_(start_) {
    row_.cell_key = assignment.cell.key;
    row_.number = number;
    row_.outcome = "running";
    row_.started_at = utc_now();
    row_.origin.boot_id = outcome::boot_id();
    row_.origin.machine = outcome::machine_mark();
    row_.origin.supervisor_pid = ::getpid();
    row_.origin.supervisor_ticks = outcome::start_ticks(::getpid());
    row_.origin.oom_kills = kernel_.at_begin().oom_kills;
    if (assignment.cell.profile.guard.enabled) row_.origin.telemetry = telemetry_path().string();
    for (const reports::StoredAttempt& attempt : store.attempts(run_id, false)) {
      if (attempt.cell_key != row_.cell_key) continue;
      ++tries_[{attempt.suite, attempt.case_id}];
      roof_.add(attempt, attempt.score);
    }
  }

  reports::LaunchRow run() {
    store_.add_launch(run_id_, row_, {});
    try {
      if (arm()) {
        watch_worker();
      } else {
        end_with(outcome::classify(evidence_));
      }
    } catch (const Error& e) {
      record_own_failure(e);
      throw;
    }
    return row_;
  }

 private:
  static double limit(double seconds) { return seconds > 0 ? seconds : 1e18; }

  std::filesystem::path telemetry_path() const {
    return std::filesystem::absolute(store_.path()).parent_path() / run_id_.substr(0, 8) /
           ("telemetry-" + row_.cell_key + "-" + std::to_string(row_.number) + ".jsonl");
  }

  // Where a server that is started prints to, unless the profile says.
  Assignment with_log() const {
    Assignment assignment = assignment_;
    std::string& log = assignment.cell.profile.launch.log;
    if (log.empty()) {
      log = telemetry_path().parent_path() /
            ("server-" + row_.cell_key + "-" + std::to_string(row_.number) + ".log");
    }
    return assignment;
  }

  // False when nothing may be started; the evidence says why.
  bool arm() {
    const profiles::Profile& profile = assignment_.cell.profile;
    if (!profile.guard.enabled) return true;
    try {
      guard_.emplace(profile, telemetry_path());
    } catch (const Error& error) {
      evidence_.refused = std::string(error.what()) + ". " + error.hint();
      return false;
    }
    if (!guard_->refusal()) return true;
    row_.guard = to_json(*guard_->refusal());
    evidence_.guard = outcome::act_of(*guard_->refusal());
    if (evidence_.guard.kind == outcome::GuardAct::Kind::kRefused) {
      evidence_.guard.text += "\nEnd what else takes memory, or lower `guard.floor`.";
    }
    return false;
  }

  void watch_worker() {
    // The worker waits for its assignment, which wait_line() feeds: it does nothing unguarded.
    ChildProcess child({"worker"}, encode(with_log()),
                       [this](std::string_view bytes) { fallbacks_.feed(bytes); });
    const std::string mark = guard::mark_of(child.pid());
    if (guard_) guard_->watch(child.pid());
    std::string line;
    last_turn_ = monotonic_seconds();
    while (true) {
      const ChildProcess::Wait event =
          child.wait_line(std::chrono::seconds(1), line, guard_ ? guard_->fd() : -1);
      if (event == ChildProcess::Wait::kLine) {
        if (const std::optional<Message> message = decode(line)) take(*message);
      }
      note_gap();
      state_.elapsed_s = monotonic_seconds() - start_;
      state_.run_elapsed_s = run_before_s_ + state_.elapsed_s;
      state_.rate = meter_.rate(monotonic_seconds());
      const bool reads = state_.rate && state_.completion_done == 0;
      state_.most = roof_.most(state_.suite, state_.prompt_done, reads);
      if (const auto memory = guard_ ? guard_->memory() : std::nullopt) {
        state_.memory = {memory->total, memory->available, memory->floor};
        state_.device = device_memory(*memory);
      }
      observer_(state_);
      if (event == ChildProcess::Wait::kEnded) break;
      if (stop_if_due() || (guard_ && !guard_->listen())) {  // a lost guard is finish()'s
        evidence_.state = outcome::process_state(child.pid());
        child.kill();
        break;
      }
    }
    finish(child);
    guard::end_marked(mark);
  }

  // Of a launch that computes there. In a container NVML may not know whose memory it is.
  std::optional<DeviceMemory> device_memory(const guard::Client::Memory& memory) const {
    const profiles::Profile& profile = assignment_.cell.profile;
    const bool computes_there = profile.target == "engine" && profile.engine.device == "cuda";
    if (memory.device_target < 0 && !(computes_there && memory.device_free >= 0)) return {};
    return DeviceMemory{memory.device_target, memory.device_free};
  }

  // How long this process was not run: it wakes at least once a second.
  void note_gap() {
    const double now = monotonic_seconds();
    if (!g_continued) evidence_.host_gap_s = std::max(evidence_.host_gap_s, now - last_turn_);
    g_continued = false;
    last_turn_ = now;
  }

  bool stop_if_due() {
    const profiles::Profile& profile = assignment_.cell.profile;
    if (g_interrupted) {
      evidence_.stop = outcome::Stop::kUser;
    } else if (state_.elapsed_s > limit(profile.cell_timeout_s)) {
      evidence_.stop = outcome::Stop::kCellDeadline;
      evidence_.deadline = "the cell took longer than `limits.cell_timeout`";
    } else if (monotonic_seconds() - case_start_ >
               limit(profile.case_timeout_s + kDeafness_s +
                     managed::extra_silence_s(profile, evidence_.ready))) {
      evidence_.stop = outcome::Stop::kDeaf;
      evidence_.deadline = in_flight_.empty()
                               ? "no case began within `limits.case_timeout`"
                               : "case " + join(in_flight_) +
                                     " did not end within `limits.case_timeout`, nor when told to";
    }
    return evidence_.stop != outcome::Stop::kNone;
  }

  void take(const Message& message) {
    if (const auto* m = std::get_if<PhaseMessage>(&message)) {
      state_.phase = m->phase;
      state_.phase_detail = m->detail;
      if (!evidence_.ready) case_start_ = monotonic_seconds();  // who tells of its load hears
      if (const auto phase = guard::phase_of(m->phase); phase && guard_) guard_->phase(*phase);
    } else if (const auto* ready = std::get_if<ReadyMessage>(&message)) {
      state_.n_cases = ready->cases;
      row_.target = ready->target;
      row_.skipped = ready->skipped;
      evidence_.ready = true;
      case_start_ = monotonic_seconds();
      state_.ready_s = case_start_ - start_;
    } else if (const auto* c = std::get_if<CaseMessage>(&message)) {
      state_.suite = c->suite;
      state_.case_id = c->case_id;
      if (in_flight_.empty()) meter_.clear();  // no rate over what lies between two cases
      in_flight_.emplace_back(c->suite + "/" + c->case_id);
      case_start_ = monotonic_seconds();
    } else if (const auto* progress = std::get_if<ProgressMessage>(&message)) {
      state_.prompt_done = progress->prompt_done;
      state_.completion_done = progress->completion_done;
      const bool answering = progress->completion_done > 0;
      const int64_t tokens = answering ? completion_ended_ + progress->completion_done
                                       : prompt_ended_ + progress->prompt_done;
      meter_.add(monotonic_seconds(), tokens, answering);
    } else if (const auto* samples = std::get_if<SamplesMessage>(&message)) {
      samples_.insert(samples_.end(), samples->samples.begin(), samples->samples.end());
    } else if (const auto* error = std::get_if<ErrorMessage>(&message)) {
      evidence_.error = error->what + (error->hint.empty() ? "" : ". " + error->hint);
      evidence_.error_code = error->code;
      evidence_.server_code = error->server_code;
      evidence_.server_signal = error->server_signal;
      if (!error->phase.empty()) state_.phase = error->phase;
    } else if (std::holds_alternative<DoneMessage>(message)) {
      evidence_.done = true;
    } else if (const auto* attempt = std::get_if<AttemptMessage>(&message)) {
      reports::AttemptRow row = attempt->attempt;
      row.cell_key = row_.cell_key;
      row.number = ++tries_[{row.suite, row.case_id}];
      row.launch = row_.number;
      store_.add_attempt(run_id_, row, attempt->score);
      evidence_.attempts.push_back(mark_of(row));
      std::erase(in_flight_, row.suite + "/" + row.case_id);
      count(row, attempt->score);
    }
  }

  // What an attempt's end means for those who look on.
  void count(const reports::AttemptRow& row, const std::optional<reports::ScoreRow>& score) {
    ++state_.cases_done;
    if (state_.ready_s >= 0) {
      state_.case_ends_s.push_back(monotonic_seconds() - start_ - state_.ready_s);
    }
    state_.tally.add(row, score);
    roof_.add(row, score);
    int64_t completion = row.completion_tokens;
    for (const reports::ExchangeRow& turn : row.exchanges) completion += turn.completion_tokens;
    completion_ended_ += completion;
    prompt_ended_ += row.prompt_tokens;
    // Until the worker tells anew what is in flight.
    state_.completion_done = std::max<int64_t>(0, state_.completion_done - completion);
    state_.prompt_done = std::max<int64_t>(0, state_.prompt_done - row.prompt_tokens);
    if (in_flight_.empty()) state_.prompt_done = state_.completion_done = 0;
  }

  static outcome::AttemptMark mark_of(const reports::AttemptRow& row) {
    std::string shape = row.suite;
    for (const auto& [tag, value] : row.tags) shape += "\n" + tag + "=" + value;
    return {row.status == "ok", row.outcome, shape,
            reports::attempt_metric(row, "decode_rate").value_or(0), row.completion_tokens};
  }

  void finish(ChildProcess& child) {
    const Exit exit = child.wait_exit();
    row_.seconds = monotonic_seconds() - start_;
    evidence_.exit_code = row_.exit_code = exit.code;
    evidence_.signal = row_.signal = exit.signal;
    evidence_.phase = state_.phase;
    evidence_.log_tail = row_.log_tail = child.log_tail();
    evidence_.fallbacks = fallbacks_.lines();
    if (const auto verdict = guard_ ? guard_->finish() : std::nullopt) {
      row_.guard = to_json(*verdict);
      evidence_.guard = outcome::act_of(*verdict);
      if (!guard_->error().empty()) evidence_.guard.text += "\n" + guard_->error();
    }
    if (guard_) add_course();
    if (guard_ && guard_->most_used_bytes() >= 0) {
      samples_.push_back({"peak_machine_memory", static_cast<double>(guard_->most_used_bytes()),
                          row_.seconds, ""});
    }
    look_at_the_kernel();
    if (around_.after && evidence_.stop != outcome::Stop::kUser) {
      evidence_.slow_state = around_.after(samples_);
    }
    end_with(outcome::classify(evidence_));
  }

  // The guard's readings, thinned: its file may be pruned, or stay on another machine.
  void add_course() {
    try {
      const auto course = guard::course_of(guard::read_trace(telemetry_path()));
      samples_.insert(samples_.end(), course.begin(), course.end());
    } catch (const Error&) {  // a lost guard's, most often: the launch's outcome says so
    }
  }

  void look_at_the_kernel() {
    const outcome::KernelCounters since = kernel_.since();
    evidence_.kernel_lines = kernel_.lines();
    evidence_.oom_kills = since.oom_kills;
    evidence_.group_oom_kills = since.group_oom_kills;
    if (since.oom_kills > 0) {
      evidence_.contamination.push_back("the kernel's OOM killer was at work on this machine");
    }
    if (const int64_t swapped = since.swapped_pages * ::sysconf(_SC_PAGESIZE);
        swapped > kSwapNoise_bytes) {
      evidence_.contamination.push_back(format_bytes(swapped) + " went to or came from swap");
    }
  }

  void end_with(const outcome::Finding& finding) {
    row_.outcome = finding.outcome;
    row_.message = finding.message;
    row_.notes = join(finding.notes, "\n");
    row_.phase = state_.phase;
    if (!in_flight_.empty()) row_.phase += ": " + join(in_flight_);
    if (evidence_.done) row_.phase = "";  // it ended in none
    store_.end_launch(run_id_, row_, samples_);
  }

  // A store that cannot be written any more, most often. Perhaps this one row still fits; if not,
  // whoever opens the store next finds the launch unfinished.
  void record_own_failure(const Error& error) {
    row_.seconds = monotonic_seconds() - start_;
    try {
      end_with(
          {"HARNESS_ERROR",
           std::string("the supervisor could not go on: ") + error.what() + ". " + error.hint(),
           {}});
    } catch (const Error&) {
    }
  }

  reports::Store& store_;
  const std::string& run_id_;
  const Assignment& assignment_;
  RunState& state_;
  const Observer& observer_;
  const Surroundings& around_;
  std::vector<probes::Sample> samples_;
  const double start_;
  const double run_before_s_;
  double case_start_;
  reports::LaunchRow row_;
  std::vector<std::string> in_flight_;  // begun and not ended, "suite/case"
  std::optional<guard::Client> guard_;
  outcome::Evidence evidence_;
  outcome::KernelWatch kernel_;
  outcome::FallbackLines fallbacks_;
  double last_turn_ = 0;
  RateMeter meter_;
  RoofWatch roof_;
  int64_t prompt_ended_ = 0, completion_ended_ = 0;  // tokens of the attempts that ended
  std::map<std::pair<std::string, std::string>, int> tries_;
};

}  // namespace

void install_interrupt_handler() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;  // no SA_RESTART: poll() must return
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  action.sa_handler = on_continue;
  ::sigaction(SIGCONT, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

reports::LaunchRow run_cell(reports::Store& store, const std::string& run_id,
                            const Assignment& assignment, int launch_number, RunState& state,
                            const Observer& observer, const Surroundings& around) {
  return Launch(store, run_id, assignment, launch_number, state, observer, around).run();
}

}  // namespace ds4::runners

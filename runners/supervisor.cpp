#include "runners/supervisor.h"

#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <map>

#include "engine/base/clock.h"
#include "engine/base/units.h"
#include "runners/process.h"

namespace ds4::runners {

volatile bool g_interrupted = false;

namespace {

// A worker enforces `limits.case_timeout` itself while it is healthy; the supervisor steps in this
// much later, when the worker is deaf.
constexpr double kDeafness_s = 5;

void on_interrupt(int) {
  if (g_interrupted) ::_exit(130);
  g_interrupted = true;
}

// The last two lines a worker wrote, each on a line of its own: most often they say why it ended.
std::string last_words(const std::string& log) {
  const size_t end = log.find_last_not_of('\n');
  if (end == std::string::npos) return "";
  size_t begin = end;
  for (int lines = 0; begin > 0; --begin) {
    if (log[begin - 1] == '\n' && ++lines == 2) break;
  }
  return "\n" + log.substr(begin, end + 1 - begin);
}

std::string join(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// One launch: the state between the first line of a worker and its end.
class Launch {
 public:
  Launch(reports::Store& store, const std::string& run_id, const Assignment& assignment, int number,
         RunState& state, const Observer& observer)
      : store_(store),
        run_id_(run_id),
        assignment_(assignment),
        state_(state),
        observer_(observer),
        start_(monotonic_seconds()),
        case_start_(start_) {
    row_.cell_key = assignment.cell.key;
    row_.number = number;
    row_.started_at = utc_now();
    for (const reports::StoredAttempt& attempt : store.attempts(run_id, false)) {
      if (attempt.cell_key == row_.cell_key) ++tries_[{attempt.suite, attempt.case_id}];
    }
  }

  reports::LaunchRow run() {
    ChildProcess child({"worker"}, encode(assignment_));
    bool done = false;
    std::string line;
    while (true) {
      const ChildProcess::Wait event = child.wait_line(std::chrono::seconds(1), line);
      if (event == ChildProcess::Wait::kLine) {
        if (const std::optional<Message> message = decode(line)) {
          done |= std::holds_alternative<DoneMessage>(*message);
          take(*message);
        }
      }
      state_.elapsed_s = monotonic_seconds() - start_;
      observer_(state_);
      if (event == ChildProcess::Wait::kEnded) break;
      if (g_interrupted) {
        row_.outcome = "interrupted";
      } else if (state_.elapsed_s > limit(assignment_.cell.profile.cell_timeout_s)) {
        row_.outcome = "timeout";
        row_.message = "the cell took longer than `limits.cell_timeout`";
      } else if (monotonic_seconds() - case_start_ >
                 limit(assignment_.cell.profile.case_timeout_s + kDeafness_s)) {
        row_.outcome = "timeout";
        row_.message = in_flight_.empty()
                           ? "no case began within `limits.case_timeout`"
                           : "case " + join(in_flight_) +
                                 " did not end within `limits.case_timeout`, nor when told to";
      }
      if (!row_.outcome.empty()) {
        child.kill();
        break;
      }
    }
    finish(child, done);
    return row_;
  }

 private:
  static double limit(double seconds) { return seconds > 0 ? seconds : 1e18; }

  void take(const Message& message) {
    if (const auto* m = std::get_if<PhaseMessage>(&message)) {
      state_.phase = m->phase;
      state_.phase_detail = m->detail;
    } else if (const auto* ready = std::get_if<ReadyMessage>(&message)) {
      state_.n_cases = ready->cases;
      case_start_ = monotonic_seconds();
    } else if (const auto* c = std::get_if<CaseMessage>(&message)) {
      state_.suite = c->suite;
      state_.case_id = c->case_id;
      in_flight_.emplace_back(c->suite + "/" + c->case_id);
      state_.prompt_done = state_.completion_done = 0;
      case_start_ = monotonic_seconds();
    } else if (const auto* progress = std::get_if<ProgressMessage>(&message)) {
      state_.prompt_done = progress->prompt_done;
      state_.completion_done = progress->completion_done;
    } else if (const auto* samples = std::get_if<SamplesMessage>(&message)) {
      samples_.insert(samples_.end(), samples->samples.begin(), samples->samples.end());
    } else if (const auto* error = std::get_if<ErrorMessage>(&message)) {
      row_.outcome = "error";
      row_.message = error->what + (error->hint.empty() ? "" : "\n" + error->hint);
    } else if (const auto* attempt = std::get_if<AttemptMessage>(&message)) {
      reports::AttemptRow row = attempt->attempt;
      row.cell_key = row_.cell_key;
      row.number = ++tries_[{row.suite, row.case_id}];
      row.launch = row_.number;
      store_.add_attempt(run_id_, row, attempt->score);
      std::erase(in_flight_, row.suite + "/" + row.case_id);
      ++state_.cases_done;
    }
  }

  void finish(ChildProcess& child, bool done) {
    const Exit exit = child.wait_exit();
    row_.exit_code = exit.code;
    row_.signal = exit.signal;
    row_.seconds = monotonic_seconds() - start_;
    row_.phase = state_.phase == "cases" && !in_flight_.empty() ? join(in_flight_) : state_.phase;
    row_.log_tail = child.log_tail();
    if (row_.outcome.empty()) {
      if (done && exit.code == 0 && exit.signal == 0) {
        row_.outcome = "ok";
        row_.phase = "";
      } else if (exit.signal == SIGKILL || exit.signal == SIGTERM) {
        row_.outcome = "killed";  // by someone else: the kernel's OOM killer or an operator
        row_.message = std::string("killed by signal ") + strsignal(exit.signal);
      } else {
        row_.outcome = "crash";
        row_.message = exit.signal ? std::string("crashed: ") + strsignal(exit.signal)
                                   : "ended early with exit code " + std::to_string(exit.code);
        row_.message += last_words(row_.log_tail);
      }
    }
    store_.add_launch(run_id_, row_, samples_);
  }

  reports::Store& store_;
  const std::string& run_id_;
  const Assignment& assignment_;
  RunState& state_;
  const Observer& observer_;
  const double start_;
  double case_start_;
  reports::LaunchRow row_;
  std::vector<probes::Sample> samples_;
  std::vector<std::string> in_flight_;  // begun and not ended, "suite/case"
  std::map<std::pair<std::string, std::string>, int> tries_;
};

}  // namespace

void install_interrupt_handler() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;  // no SA_RESTART: poll() must return
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

reports::LaunchRow run_cell(reports::Store& store, const std::string& run_id,
                            const Assignment& assignment, int launch_number, RunState& state,
                            const Observer& observer) {
  return Launch(store, run_id, assignment, launch_number, state, observer).run();
}

}  // namespace ds4::runners

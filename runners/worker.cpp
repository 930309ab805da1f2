#include "runners/worker.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "engine/api/checkpoints.h"
#include "engine/base/check.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/units.h"
#include "probes/host_memory.h"
#include "runners/load_schedule.h"
#include "runners/outcome/attempt.h"
#include "runners/outcome/garbled.h"
#include "runners/probing.h"
#include "runners/roofline/roofline.h"
#include "runners/scoring.h"
#include "runners/targets/registry.h"
#include "runners/targets/server_failure.h"
#include "runners/trace_of.h"
#include "runners/turns.h"
#include "suites/suite.h"

namespace ds4::runners {
namespace {

constexpr double kProgressInterval_s = 0.25;
constexpr double kLongestSleep_s = 0.05;  // while nothing is due: then looks whether it is to end

volatile std::sig_atomic_t g_told_to_stop = 0;

void on_terminate(int) {
  g_told_to_stop = 1;
}

// While cases run, TERM cancels them, so that each is recorded. Before and after there is nothing
// to record, and TERM ends the process at once.
class StopWhenTold {
 public:
  StopWhenTold() { std::signal(SIGTERM, on_terminate); }
  ~StopWhenTold() { std::signal(SIGTERM, SIG_DFL); }
};

class Worker final : public Work {
 public:
  Worker(const Assignment& assignment, std::FILE* out)
      : assignment_(assignment), profile_(assignment.cell.profile), out_(out) {}

  void run() {
    probe_machine();
    const double start = monotonic_seconds();
    target_ = make_target(profile_);
    bool planned = false;
    const Capabilities capabilities =
        target_->open([&](const std::string& phase, const std::string& detail) {
          phase_ = phase;
          send(PhaseMessage{phase, detail});
          if (std::exchange(planned, true)) return;
          const std::vector<probes::Sample> plan = target_->plan();
          if (!plan.empty()) send(SamplesMessage{plan});
        });
    const double load_s = monotonic_seconds() - start;
    remote_ = capabilities.remote;
    missing_ = missing_cases(capabilities);
    schedule_.emplace(loads_of(missing_));
    counter_ = {[&](const Conversation& c) { return target_->count_tokens(c); },
                capabilities.exact_token_counts,
                [&](const Conversation& c) { return target_->measure_tokens(c); }};
    send(ReadyMessage{to_json(capabilities), n_probed_ + static_cast<int>(missing_.size()),
                      skipped_});
    send(SamplesMessage{{{"load_time", load_s, load_s, "load"}}});
    show_phase();
    const double cases_start = monotonic_seconds();
    {
      const StopWhenTold stop;
      target_->run(*this);
    }
    if (g_told_to_stop) std::raise(SIGTERM);  // all is recorded: end as told, memory and all
    const double cases_s = monotonic_seconds() - cases_start;
    enter("teardown");
    std::vector<probes::Sample> samples = target_->observe();
    samples.push_back({"peak_memory", static_cast<double>(probes::read_host_memory().peak_bytes),
                       monotonic_seconds() - start, ""});
    if (completion_tokens_ > 0) {
      samples.push_back({"output_rate", static_cast<double>(completion_tokens_) / cases_s,
                         monotonic_seconds() - start, ""});
    }
    send(SamplesMessage{samples});
    target_->close();
    send_last_samples();
    send(DoneMessage{});
  }

  /// A server that failed: its end first, then that of what is left of it.
  void give_up(const ServerFailure& failure) {
    const char* codes[] = {"server_ended", "server_deaf", "server_not_serving"};
    send(ErrorMessage{failure.what(), "", codes[static_cast<int>(failure.kind())],
                      exit_code(ErrorCode::kMachine), failure.exit_code(), failure.signal(),
                      failure.phase});
    target_->close();
    send_last_samples();
  }

  void send(const Message& message) {
    const std::string line = encode(message) + "\n";
    // A supervisor that is gone takes us with it (PDEATHSIG); a failed write needs no handling.
    std::fwrite(line.data(), 1, line.size(), out_);
    std::fflush(out_);
  }

  std::optional<Item> next(bool wait) override {
    if (!to_be_asked_.empty() && !g_told_to_stop) return ask_again();
    for (; !to_be_asked_.empty(); to_be_asked_.pop_front()) cancel(to_be_asked_.front());
    if (const auto group = schedule_->to_begin(); group && !g_told_to_stop) {
      for (size_t i = group->first; i < group->last; ++i) made_.emplace(i, make(i));
      schedule_->begin(monotonic_seconds());
    }
    const double asked = monotonic_seconds();
    while (!g_told_to_stop) {
      if (const auto due = schedule_->take(monotonic_seconds())) return hand_over(*due, asked);
      const double due_in_s = due_in();
      if (!wait || std::isinf(due_in_s)) break;
      std::this_thread::sleep_for(
          std::chrono::duration<double>(std::min(due_in_s, kLongestSleep_s)));
    }
    return std::nullopt;
  }

  double due_in() const override {
    return to_be_asked_.empty() ? schedule_->due_in(monotonic_seconds()) : 0;
  }

  bool progress(int64_t id, int64_t prompt_done, int64_t completion_done) override {
    InFlight& flight = in_flight_.at(id);
    if (completion_done > 0 && !flight.answering) {
      flight.answering = true;
      show_phase();
    }
    flight.prompt_done = prompt_done;
    flight.completion_done = flight.completion_before + completion_done;
    const double now = monotonic_seconds();
    if (now - last_progress_ > kProgressInterval_s) {
      last_progress_ = now;
      ProgressMessage all;
      for (const auto& [other, of] : in_flight_) {
        all.prompt_done += of.prompt_done;
        all.completion_done += of.completion_done;
      }
      send(all);
    }
    flight.late = now - flight.start > profile_.case_timeout_s;
    flight.cancelled = g_told_to_stop;
    return !flight.late && !flight.cancelled;
  }

  void done(int64_t id, Response response) override {
    InFlight& flight = in_flight_.at(id);
    reports::AttemptRow& attempt = flight.message.attempt;
    flight.witness.failure = response.failure;
    if (!response.doubt.empty()) flight.witness.doubt = response.doubt;
    if (flight.late) {
      flight.witness.failure = Failure::kLate;
      response.error = "stopped after " + format_seconds(profile_.case_timeout_s) +
                       ", the limit `limits.case_timeout`";
    }
    completion_tokens_ += response.completion_tokens;
    flight.completion_before += response.completion_tokens;
    attempt.status = response.error.empty() ? "ok" : "error";
    attempt.error = response.error;
    if (!flight.exchange) {
      record(attempt, response);
      record_trace(attempt, response);
    } else {
      if (!response.error.empty()) {
        const size_t turn = attempt.exchanges.size() + 2;
        attempt.error = "turn " + std::to_string(turn) + ": " + response.error;
      }
      record(*flight.exchange, response);
      attempt.exchanges.push_back(std::move(*flight.exchange));
      flight.exchange.reset();
    }
    attempt.samples.insert(attempt.samples.end(), response.samples.begin(), response.samples.end());
    flight.logprobs.clear();
    for (const TokenLogprob& token : response.logprobs) {
      if (token.logprob) flight.logprobs.push_back(*token.logprob);
    }
    if (flight.cancelled) {
      cancel(id);
    } else if (attempt.status == "ok" && goes_on(flight)) {
      to_be_asked_.push_back(id);
      show_phase();
    } else {
      finish(id);
    }
  }

 private:
  void send_last_samples() {
    const std::vector<probes::Sample> samples = target_->last_samples();
    if (!samples.empty()) send(SamplesMessage{samples});
  }

  using Cases = std::vector<std::pair<const profiles::SuiteSection*, suites::CaseSpec>>;

  // A case between its first request and the answer to its last.
  struct InFlight {
    const suites::Suite* suite = nullptr;
    Request request;  // of this turn
    AttemptMessage message;
    std::optional<reports::ExchangeRow> exchange;  // of this turn, when it is not the first
    outcome::AttemptWitness witness;
    std::vector<double> logprobs;  // of the newest answer's tokens, where the case wants them
    double start = 0;              // of the case
    int64_t prompt_done = 0, completion_done = 0;  // tokens; of the answers of all its turns
    int64_t completion_before = 0;                 // in the turns before this one
    bool late = false, cancelled = false;
    bool answering = false;  // its first token has come
  };

  // Cases that measure the machine: while it is idle and its memory is free.
  void probe_machine() {
    for (const profiles::SuiteSection& section : profile_.suites) {
      if (!suites::probes_machine(section.name)) continue;
      const suites::Suite& suite = *suites::find_suite(section.name);
      for (const suites::CaseSpec& spec : suite.plan(section.parameters)) {
        if (assignment_.done.contains({section.name, spec.id})) continue;
        const suites::Probing probing = suites::probing_of(section.parameters, spec);
        if (const std::string lack = probing_lack(probing, profile_); !lack.empty()) {
          skipped_.emplace(section.name + "/" + spec.id, lack);
          continue;
        }
        send(CaseMessage{section.name, spec.id});
        AttemptMessage message;
        reports::AttemptRow& attempt = message.attempt;
        attempt.suite = section.name;
        attempt.suite_version = section.version;
        attempt.case_id = spec.id;
        attempt.tags = spec.tags;
        attempt.prompt = prompt_text(suite.build(section.parameters, spec, {}));
        attempt.started_at = utc_now();
        probe_for(probing, profile_, attempt, [&](const std::string& name) {
          send(PhaseMessage{"probe", name});
        });
        outcome::AttemptFinding finding{"HARNESS_ERROR", ""};
        if (attempt.status == "ok") {
          outcome::AttemptWitness witness;
          grade_answer(message, witness);
          finding = outcome::classify_attempt(attempt, message.score, witness);
        }
        attempt.outcome = std::move(finding.outcome);
        attempt.note = std::move(finding.note);
        send(message);
        ++n_probed_;
      }
    }
    if (n_probed_ > 0) probes::forget_peak_memory();  // the target's peak is asked for later
  }

  // A load group is measured as a whole: with one of its cases all are asked again.
  Cases missing_cases(const Capabilities& capabilities) {
    Cases cases;
    for (const profiles::SuiteSection& section : profile_.suites) {
      if (suites::probes_machine(section.name)) continue;
      const suites::Suite& suite = *suites::find_suite(section.name);
      const std::string lack = missing_of(capabilities, suite.needs(section.parameters));
      if (!lack.empty()) {
        skipped_.emplace(section.name, lack);
        continue;
      }
      auto planned = suite.plan(section.parameters);
      const auto is_missing = [&](const suites::CaseSpec& spec) {
        return !assignment_.done.contains({section.name, spec.id});
      };
      std::set<std::string> groups;
      for (const suites::CaseSpec& spec : planned) {
        if (!spec.load.group.empty() && is_missing(spec)) groups.insert(spec.load.group);
      }
      for (suites::CaseSpec& spec : planned) {
        if (is_missing(spec) || groups.contains(spec.load.group)) {
          cases.emplace_back(&section, std::move(spec));
        }
      }
    }
    return cases;
  }

  static std::vector<suites::Load> loads_of(const Cases& cases) {
    std::vector<suites::Load> loads;
    for (const auto& [section, spec] : cases) {
      loads.push_back(spec.load);
      if (!spec.load.group.empty()) loads.back().group = section->name + " " + spec.load.group;
    }
    return loads;
  }

  suites::Case make(size_t index) const {
    const auto& [section, spec] = missing_[index];
    suites::Case c = suites::find_suite(section->name)->build(section->parameters, spec, counter_);
    std::vector<std::string> stop = std::move(c.limits.sampling.stop);  // the suite's own
    c.limits.sampling = profile_.sampling;
    c.limits.sampling.stop.insert(c.limits.sampling.stop.end(), stop.begin(), stop.end());
    c.limits.seed = profile_.engine.seed;
    c.limits.sequence = spec.seed;  // so that repeats and equal prompts draw differently
    return c;
  }

  Item hand_over(const LoadSchedule::Due& due, double asked) {
    const auto& [section, spec] = missing_[due.index];
    send(CaseMessage{section->name, spec.id});
    auto made = made_.extract(due.index);
    suites::Case c = made.empty() ? make(due.index) : std::move(made.mapped());
    const auto id = static_cast<int64_t>(due.index);
    InFlight& flight = in_flight_[id];
    flight.suite = suites::find_suite(section->name);
    flight.witness.cold = c.cold;
    cache_witness_.sent(c.canaries);
    reports::AttemptRow& attempt = flight.message.attempt;
    attempt.suite = section->name;
    attempt.suite_version = section->version;
    attempt.case_id = spec.id;
    attempt.tags = spec.tags;
    attempt.prompt = prompt_text(c);
    attempt.expected = c.expected;
    attempt.started_at = utc_now();
    show_phase();
    flight.start = monotonic_seconds();
    if (!spec.load.group.empty()) {
      const double since = remote_ ? due.scheduled : std::max(due.scheduled, asked);
      attempt.samples = {{"scheduled_at", due.scheduled - due.begin, 0, ""},
                         {"sent_at", flight.start - due.begin, 0, ""},
                         {"dispatch_lag", flight.start - since, 0, ""}};
    }
    flight.request = {std::move(c.conversation), std::move(c.raw), std::move(c.limits),
                      section->name + "/" + spec.id};
    return Item{id, flight.request};
  }

  // Whether the suite says something to the newest answer; then the next request is ready.
  static bool goes_on(InFlight& flight) {
    const reports::AttemptRow& attempt = flight.message.attempt;
    std::vector<suites::Turn> turns = stored_turns(attempt);
    give_ids(turns.back().answer, turns.size());
    std::vector<ds4::Message> reply;
    try {
      reply = flight.suite->reply(attempt.expected, turns);
    } catch (const std::exception& e) {
      flight.witness.grader_error = e.what();
    }
    if (reply.empty()) return false;
    flight.exchange.emplace();
    for (const ds4::Message& said : reply) {
      flight.exchange->said.push_back({said.role, said.content, said.tool_call_id});
    }
    std::vector<ds4::Message>& messages = flight.request.conversation.messages;
    messages.push_back(assistant_message(turns.back().answer));
    messages.insert(messages.end(), reply.begin(), reply.end());
    flight.answering = false;
    return true;
  }

  Item ask_again() {
    const int64_t id = to_be_asked_.front();
    to_be_asked_.pop_front();
    InFlight& flight = in_flight_.at(id);
    flight.exchange->sent_s = monotonic_seconds() - flight.start;
    return {id, flight.request};
  }

  void cancel(int64_t id) {
    reports::AttemptRow& attempt = in_flight_.at(id).message.attempt;
    attempt.status = "cancelled";
    attempt.error = "cancelled: the worker was told to end (SIGTERM)";
    finish(id);
  }

  void finish(int64_t id) {
    auto flight = in_flight_.extract(id);
    DS4_CHECK(!flight.empty());
    schedule_->answered(monotonic_seconds());
    outcome::AttemptWitness& witness = flight.mapped().witness;
    AttemptMessage& message = flight.mapped().message;
    if (message.attempt.status == "ok") {
      const auto garble = outcome::garble_samples(message.attempt, flight.mapped().logprobs);
      message.attempt.samples.insert(message.attempt.samples.end(), garble.begin(), garble.end());
      grade_answer(message, witness);
      add_demand(message.attempt);
    }
    const bool greedy = profile_.sampling.temperature == 0;
    cache_witness_.look(message.attempt, greedy, witness);
    outcome::AttemptFinding finding =
        outcome::classify_attempt(message.attempt, message.score, witness);
    message.attempt.outcome = std::move(finding.outcome);
    message.attempt.note = std::move(finding.note);
    send(message);
    show_phase();
  }

  // Beside the ceilings that the cell measured: of the first answer of each suite and length, when
  // nothing else is being answered.
  void add_demand(reports::AttemptRow& attempt) {
    if (profile_.target != "engine" || profile_.engine.sequences > 1 || !in_flight_.empty()) return;
    const bool wanted =
        std::any_of(profile_.suites.begin(), profile_.suites.end(),
                    [](const auto& suite) { return suites::probes_machine(suite.name); });
    const auto length = attempt.tags.find("length");
    if (!wanted ||
        !demanded_.emplace(attempt.suite, length == attempt.tags.end() ? "" : length->second)
             .second) {
      return;
    }
    const auto samples = demand_samples(resolve_checkpoint(profile_.checkpoint), attempt,
                                        profile_.engine.draft_tokens);
    attempt.samples.insert(attempt.samples.end(), samples.begin(), samples.end());
  }

  // A scorer that throws spoils one verdict, not the launch.
  static void grade_answer(AttemptMessage& message, outcome::AttemptWitness& witness) {
    try {
      message.score = grade(*suites::find_suite(message.attempt.suite), message.attempt);
    } catch (const std::exception& e) {
      witness.grader_error = e.what();
    }
  }

  void enter(const std::string& phase) {
    if (phase == phase_) return;
    phase_ = phase;
    send(PhaseMessage{phase, ""});
  }

  // A prompt that is still read decides: it is what takes memory.
  void show_phase() {
    const bool reading = std::any_of(in_flight_.begin(), in_flight_.end(),
                                     [](const auto& flight) { return !flight.second.answering; });
    enter(in_flight_.empty() ? "idle" : reading ? "prefill" : "decode");
  }

  const Assignment& assignment_;
  const profiles::Profile& profile_;
  std::FILE* out_;
  std::unique_ptr<Target> target_;
  suites::TokenCounter counter_;
  Cases missing_;
  std::map<std::string, std::string> skipped_;  // as ReadyMessage::skipped
  std::optional<LoadSchedule> schedule_;        // of missing_
  std::map<size_t, suites::Case> made_;         // of the group that runs, not handed over yet
  bool remote_ = false;                         // Capabilities::remote
  std::map<int64_t, InFlight> in_flight_;       // by the place in missing_
  std::deque<int64_t> to_be_asked_;             // of them: those whose next turn is not sent
  outcome::CacheWitness cache_witness_;
  std::set<std::pair<std::string, std::string>> demanded_;  // suites and lengths with a demand
  int n_probed_ = 0;                                        // cases that measured the machine
  int64_t completion_tokens_ = 0;
  double last_progress_ = 0;  // when it was told
  std::string phase_;         // as last sent
};

const char* name_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUsage:
      return "usage";
    case ErrorCode::kProfile:
      return "profile";
    case ErrorCode::kCheckpoint:
      return "checkpoint";
    case ErrorCode::kMachine:
      return "machine";
    case ErrorCode::kIo:
      return "io";
  }
  return "";
}

}  // namespace

int run_worker(const Assignment& assignment, std::FILE* out) {
  Worker worker(assignment, out);
  try {
    worker.run();
    return 0;
  } catch (const ServerFailure& e) {
    worker.give_up(e);
    return exit_code(e.code());
  } catch (const Error& e) {
    worker.send(ErrorMessage{e.what(), e.hint(), name_of(e.code()), exit_code(e.code())});
    return exit_code(e.code());
  } catch (const std::bad_alloc&) {
    worker.send(
        ErrorMessage{"out of memory", "Lower engine.context_length or free memory.", "memory", 3});
    return 3;
  }
}

std::string prompt_text(const suites::Case& c) {
  if (c.raw && c.raw->tokens.empty()) return "[text]\n" + c.raw->text;
  std::string text;
  if (c.raw) {
    text = "[tokens]\n";
    for (const int32_t token : c.raw->tokens) text += std::to_string(token) + " ";
    text.pop_back();
    return text;
  }
  for (const ds4::Message& message : c.conversation.messages) {
    if (!text.empty()) text += "\n\n";
    text += "[" + message.role + "]\n" + message.content;
    for (const std::string& tool : message.tools) text += "\n[tool] " + tool;
  }
  return text;
}

}  // namespace ds4::runners

#include "runners/guard/watch.h"

#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "runners/guard/protect.h"
#include "runners/guard/strays.h"

namespace ds4::runners::guard {
namespace {

using nlohmann::json;

constexpr double kEnding_s = 5;  // how long a killed group is waited for when nobody else will

}  // namespace

std::string setup_to_json(const Setup& setup) {
  return json{{"limits", json::parse(limits_to_json(setup.limits))},
              {"telemetry", setup.telemetry.string()},
              {"proc", setup.proc.string()}}
      .dump();
}

Setup setup_from_json(std::string_view text) {
  try {
    const json j = json::parse(text);
    return {limits_from_json(j.at("limits").dump()), j.at("telemetry").get<std::string>(),
            j.at("proc").get<std::string>()};
  } catch (const std::exception& e) {
    throw Error(ErrorCode::kUsage, std::string("no setup of a guard: ") + e.what(),
                "`guard-process` is started by `ds4-sweep run`; by hand use `ds4-sweep guard`.");
  }
}

Watch::Watch(const Setup& setup)
    : limits_(setup.limits), sampler_(setup.proc), armed_s_(monotonic_seconds()) {
  // Both once before memory is locked, so that all they use is in it.
  Sample first;
  read(first);
  history_.push(first);
  decide(history_, limits_, -1);
  notes_ = protect_this_process();
  if (!setup.telemetry.empty()) {
    recorder_ = std::make_unique<Recorder>(setup.telemetry, trace_header(limits_, notes_));
    recorder_->add(trace_.line(first), true);
  }
  slow_ = std::make_unique<SlowReadings>();
}

double Watch::now_s() const {
  return monotonic_seconds() - armed_s_;
}

void Watch::read(Sample& sample) {
  sample.time_s = now_s();
  sample.phase = phase_;
  sampler_.read(sample);
  if (slow_) slow_->read(sample);
}

std::optional<Verdict> Watch::refusal() const {
  const Sample& sample = newest();
  if (sample.available >= limits_.floor(phase_)) return std::nullopt;
  Verdict v;
  v.action = Action::kRefused;
  v.rule = Rule::kFloor;
  v.phase = phase_;
  v.at = utc_now();
  v.time_s = sample.time_s;
  v.limit_bytes = limits_.floor(phase_);
  v.value_bytes = v.lowest_bytes = sample.available;
  v.sample = TraceWriter().line(sample);
  return v;
}

void Watch::guard(std::unique_ptr<Group> group) {
  if (!group->signal(0)) {
    throw Error(ErrorCode::kUsage,
                "process group " + std::to_string(group->id()) + " may not be signalled",
                "Run the guard as the user of that process, or as root.");
  }
  offer_to_oom_killer(group->id());
  group_ = std::move(group);
  slow_->guard(group_);
  record_event("guarding", std::to_string(group_->id()));
  note_use(newest());
}

void Watch::note_use(const Sample& sample) {
  if (!group_ || ended_ || !sample.readable() || sample.total < 0) return;
  most_used_bytes_ = std::max(most_used_bytes_, sample.total - sample.available);
}

double Watch::due_in_s() const {
  return std::max(0.0, next_s_ - now_s());
}

void Watch::tick() {
  Sample sample = newest();  // a field that cannot be read now keeps what it had
  read(sample);
  history_.push(sample);
  note_use(sample);
  if (group_ && !ended_)
    act(decide(history_, limits_, fired_ ? fired_->sample.time_s : -1), sample);
  if (recorder_) recorder_->add(trace_.line(sample), urgent(sample));
  const double period = 1 / limits_.rate_hz;
  next_s_ = std::max(next_s_ + period, sample.time_s);  // what was missed is not made up for
}

void Watch::act(const Decision& decision, const Sample& sample) {
  if (fired_ && sample.readable()) {
    fired_->lowest_bytes = std::min(fired_->lowest_bytes, sample.available);
  }
  if (decision.stage == Stage::kNone) return;
  const bool hard = decision.stage == Stage::kHard;
  // First the signal, then the bookkeeping. KILL is repeated at every reading until it is heard.
  const bool heard = group_->signal(hard ? SIGKILL : SIGTERM);
  if (!fired_) {
    fired_.emplace(Fired{decision, sample, utc_now(), std::nullopt, sample.available, -1, {}});
  } else if (fired_->hard_rule) {
    return;
  }
  if (hard) fired_->hard_rule = decision.rule;
  record_event(hard ? "hard" : "soft", name(decision.rule));
  if (!heard) record_event("unheard", "");
}

bool Watch::target_ended() {
  if (!group_) return false;
  if (ended_) return true;
  if (group_->leader_runs()) return false;
  ended_ = true;
  record_event("ended", "");
  if (fired_) {
    fired_->reaction_s = now_s() - fired_->sample.time_s;
    fired_->leftovers = end_what_is_left();
  }
  return true;
}

// What a leader leaves behind holds memory too.
Leftovers Watch::end_what_is_left() {
  for (int i = 0; i < 100 && !group_->members().empty(); ++i) {
    group_->signal(SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  end_marked(mark_of(group_->id(), group_->start_ticks()));
  return slow_->clean_up();
}

void Watch::end_target(Rule rule) {
  if (!group_) return;
  if (target_ended()) {
    // By itself, or with whoever is gone now and would have looked after what it left.
    if (!fired_) end_what_is_left();
    return;
  }
  Sample sample = newest();
  read(sample);
  group_->signal(SIGKILL);
  if (!fired_) {
    fired_.emplace(Fired{{Stage::kHard, rule, limits_.floor(phase_), slope(history_)},
                         sample,
                         utc_now(),
                         std::nullopt,
                         sample.available,
                         -1});
  }
  if (!fired_->hard_rule) fired_->hard_rule = rule;
  record_event("hard", name(rule));
  while (!target_ended() && now_s() - sample.time_s < kEnding_s) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    group_->signal(SIGKILL);
  }
}

bool Watch::urgent(const Sample& sample) const {
  return fired_.has_value() || sample.available < limits_.floor(phase_) / 4 * 5;
}

void Watch::record_event(std::string_view what, std::string_view why) {
  if (recorder_) recorder_->add(trace_.event(now_s(), what, why), true);
}

std::optional<Verdict> Watch::verdict() const {
  if (!fired_) return std::nullopt;
  Verdict v;
  v.action = fired_->hard_rule ? Action::kHard : Action::kSoft;
  v.rule = fired_->decision.rule;
  v.hard_rule = fired_->hard_rule;
  v.phase = fired_->sample.phase;
  v.at = fired_->at;
  v.time_s = fired_->sample.time_s;
  v.limit_bytes = limits_.floor(v.phase);
  v.value_bytes = fired_->sample.available;
  v.lowest_bytes = fired_->lowest_bytes;
  v.rate_bytes_s = fired_->decision.rate_bytes_s;
  v.reaction_s = fired_->reaction_s;
  v.removed = fired_->leftovers.removed;
  v.kept = fired_->leftovers.kept;
  v.sample = TraceWriter().line(fired_->sample);
  return v;
}

}  // namespace ds4::runners::guard

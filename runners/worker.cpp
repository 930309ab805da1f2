#include "runners/worker.h"

#include <map>
#include <nlohmann/json.hpp>

#include "engine/base/check.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/units.h"
#include "probes/host_memory.h"
#include "runners/scoring.h"
#include "runners/targets/registry.h"
#include "suites/suite.h"

namespace ds4::runners {
namespace {

constexpr double kProgressInterval_s = 0.25;

class Worker final : public Work {
 public:
  Worker(const Assignment& assignment, std::FILE* out)
      : assignment_(assignment), profile_(assignment.cell.profile), out_(out) {}

  void run() {
    const double start = monotonic_seconds();
    target_ = make_target(profile_);
    const Capabilities capabilities =
        target_->open([&](const std::string& phase, const std::string& detail) {
          send(PhaseMessage{phase, detail});
        });
    const double load_s = monotonic_seconds() - start;
    missing_ = missing_cases();
    counter_ = {[&](const Conversation& c) { return target_->count_tokens(c); },
                capabilities.exact_token_counts};
    send(ReadyMessage{capabilities.description, static_cast<int>(missing_.size())});
    send(SamplesMessage{{{"load_time", load_s, load_s, "load"}}});
    send(PhaseMessage{"cases", ""});
    const double cases_start = monotonic_seconds();
    target_->run(*this);
    const double cases_s = monotonic_seconds() - cases_start;
    std::vector<probes::Sample> samples = target_->observe();
    samples.push_back({"peak_memory", static_cast<double>(probes::read_host_memory().peak_bytes),
                       monotonic_seconds() - start, ""});
    if (completion_tokens_ > 0) {
      samples.push_back({"output_rate", static_cast<double>(completion_tokens_) / cases_s,
                         monotonic_seconds() - start, ""});
    }
    send(SamplesMessage{samples});
    target_->close();
    send(DoneMessage{});
  }

  void send(const Message& message) {
    const std::string line = encode(message) + "\n";
    // A supervisor that is gone takes us with it (PDEATHSIG); a failed write needs no handling.
    std::fwrite(line.data(), 1, line.size(), out_);
    std::fflush(out_);
  }

  std::optional<Item> next() override {
    if (begun_ == missing_.size()) return std::nullopt;
    const auto& [section, spec] = missing_[begun_];
    send(CaseMessage{section->name, spec.id});
    const suites::Suite& suite = *suites::find_suite(section->name);
    suites::Case c = suite.build(section->parameters, spec, counter_);
    c.limits.sampling = profile_.sampling;
    c.limits.seed = profile_.engine.seed;
    c.limits.sequence = spec.seed;  // so that repeats and equal prompts draw differently
    InFlight& flight = in_flight_[static_cast<int64_t>(begun_)];
    reports::AttemptRow& attempt = flight.message.attempt;
    attempt.suite = section->name;
    attempt.suite_version = section->version;
    attempt.case_id = spec.id;
    attempt.tags = spec.tags;
    attempt.prompt = prompt_text(c.conversation);
    attempt.expected = c.expected;
    attempt.started_at = utc_now();
    flight.start = flight.last_progress = monotonic_seconds();
    return Item{static_cast<int64_t>(begun_++), {std::move(c.conversation), std::move(c.limits)}};
  }

  bool progress(int64_t id, int64_t prompt_done, int64_t completion_done) override {
    InFlight& flight = in_flight_.at(id);
    const double now = monotonic_seconds();
    if (now - flight.last_progress > kProgressInterval_s) {
      flight.last_progress = now;
      send(ProgressMessage{prompt_done, completion_done});
    }
    flight.late = now - flight.start > profile_.case_timeout_s;
    return !flight.late;
  }

  void done(int64_t id, Response response) override {
    const auto flight = in_flight_.extract(id);
    DS4_CHECK(!flight.empty());
    if (flight.mapped().late) {
      response.error = "stopped after " + format_seconds(profile_.case_timeout_s) +
                       ", the limit `limits.case_timeout`";
    }
    AttemptMessage& message = flight.mapped().message;
    fill(message.attempt, response);
    completion_tokens_ += response.completion_tokens;
    if (message.attempt.status == "ok") {
      message.score = grade(*suites::find_suite(message.attempt.suite), message.attempt);
    }
    send(message);
  }

 private:
  using Cases = std::vector<std::pair<const profiles::SuiteSection*, suites::CaseSpec>>;

  // A case between next() and done().
  struct InFlight {
    AttemptMessage message;
    double start = 0, last_progress = 0;
    bool late = false;
  };

  Cases missing_cases() const {
    Cases cases;
    for (const profiles::SuiteSection& section : profile_.suites) {
      for (suites::CaseSpec& spec : suites::find_suite(section.name)->plan(section.parameters)) {
        if (!assignment_.done.contains({section.name, spec.id})) {
          cases.emplace_back(&section, std::move(spec));
        }
      }
    }
    return cases;
  }

  static void fill(reports::AttemptRow& attempt, const Response& response) {
    attempt.status = response.error.empty() ? "ok" : "error";
    attempt.error = response.error;
    attempt.text = response.answer.text;
    attempt.reasoning = response.answer.reasoning;
    attempt.content = response.answer.content;
    attempt.tool_calls = tool_calls_to_json(response.answer.tool_calls);
    attempt.finish_reason = response.answer.finish_reason;
    attempt.prompt_tokens = response.prompt_tokens;
    attempt.completion_tokens = response.completion_tokens;
    attempt.cached_tokens = response.cached_tokens;
    attempt.first_token_s = response.first_token_s;
    attempt.end_s = response.end_s;
    attempt.samples = response.samples;
    for (const TokenEvent& event : response.events) {
      attempt.events.push_back({event.time_s, event.n_tokens});
    }
  }

  const Assignment& assignment_;
  const profiles::Profile& profile_;
  std::FILE* out_;
  std::unique_ptr<Target> target_;
  suites::TokenCounter counter_;
  Cases missing_;
  size_t begun_ = 0;                       // of them
  std::map<int64_t, InFlight> in_flight_;  // by the place in missing_
  int64_t completion_tokens_ = 0;
};

}  // namespace

int run_worker(const Assignment& assignment, std::FILE* out) {
  Worker worker(assignment, out);
  try {
    worker.run();
    return 0;
  } catch (const Error& e) {
    worker.send(ErrorMessage{e.what(), e.hint(), exit_code(e.code())});
    return exit_code(e.code());
  } catch (const std::bad_alloc&) {
    worker.send(ErrorMessage{"out of memory", "Lower engine.context_length or free memory.", 3});
    return 3;
  }
}

std::string prompt_text(const Conversation& conversation) {
  std::string text;
  for (const ds4::Message& message : conversation.messages) {
    if (!text.empty()) text += "\n\n";
    text += "[" + message.role + "]\n" + message.content;
    for (const std::string& tool : message.tools) text += "\n[tool] " + tool;
  }
  return text;
}

}  // namespace ds4::runners

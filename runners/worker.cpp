#include "runners/worker.h"

#include <nlohmann/json.hpp>

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

class Worker {
 public:
  Worker(const Assignment& assignment, std::FILE* out)
      : assignment_(assignment), profile_(assignment.cell.profile), out_(out) {}

  void run() {
    const double start = monotonic_seconds();
    target_ = make_target(profile_);
    const Capabilities capabilities =
        target_->open([&](const std::string& phase) { send(PhaseMessage{phase}); });
    const double load_s = monotonic_seconds() - start;
    const auto work = missing_cases();
    send(ReadyMessage{capabilities.description, static_cast<int>(work.size())});
    send(SamplesMessage{{{"load_time", load_s, load_s, "load"}}});
    send(PhaseMessage{"cases"});
    const suites::TokenCounter counter{
        [&](const Conversation& c) { return target_->count_tokens(c); },
        capabilities.exact_token_counts};
    for (const auto& [section, spec] : work) run_case(*section, spec, counter);
    std::vector<probes::Sample> samples = target_->observe();
    samples.push_back({"peak_memory", static_cast<double>(probes::read_host_memory().peak_bytes),
                       monotonic_seconds() - start, ""});
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

 private:
  using Work = std::vector<std::pair<const profiles::SuiteSection*, suites::CaseSpec>>;

  Work missing_cases() const {
    Work work;
    for (const profiles::SuiteSection& section : profile_.suites) {
      for (suites::CaseSpec& spec : suites::find_suite(section.name)->plan(section.parameters)) {
        if (!assignment_.done.contains({section.name, spec.id})) {
          work.emplace_back(&section, std::move(spec));
        }
      }
    }
    return work;
  }

  void run_case(const profiles::SuiteSection& section, const suites::CaseSpec& spec,
                const suites::TokenCounter& counter) {
    send(CaseMessage{section.name, spec.id});
    const suites::Suite& suite = *suites::find_suite(section.name);
    suites::Case c = suite.build(section.parameters, spec, counter);
    c.limits.sampling = profile_.sampling;
    c.limits.seed = profile_.engine.seed;
    c.limits.sequence = spec.seed;  // so that repeats and equal prompts draw differently
    AttemptMessage message;
    reports::AttemptRow& attempt = message.attempt;
    attempt.suite = section.name;
    attempt.suite_version = section.version;
    attempt.case_id = spec.id;
    attempt.tags = spec.tags;
    attempt.prompt = prompt_text(c.conversation);
    attempt.expected = c.expected;
    attempt.started_at = utc_now();
    const Response response = submit(c);
    fill(attempt, response);
    if (attempt.status == "ok") {
      message.score = grade(suite, attempt);
    }
    send(message);
  }

  Response submit(const suites::Case& c) {
    const double start = monotonic_seconds();
    double last_progress = start;
    bool late = false;
    Response response = target_->submit({c.conversation, c.limits},
                                        [&](int64_t prompt_done, int64_t completion_done) {
                                          const double now = monotonic_seconds();
                                          if (now - last_progress > kProgressInterval_s) {
                                            last_progress = now;
                                            send(ProgressMessage{prompt_done, completion_done});
                                          }
                                          late = now - start > profile_.case_timeout_s;
                                          return !late;
                                        });
    if (late) {
      response.error = "stopped after " + format_seconds(profile_.case_timeout_s) +
                       ", the limit `limits.case_timeout`";
    }
    return response;
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

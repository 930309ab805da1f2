// The scripted target plays any behaviour from a JSON file: answers, delays, errors, hangs,
// crashes. Tests of the harness are written with it; docs/suites.md documents the format.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/files.h"
#include "runners/targets/byte_count.h"
#include "runners/targets/registry.h"

namespace ds4::runners {
namespace {

using nlohmann::json;

void sleep_ms(int64_t ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}

// "segv", "abort", "check", "kill", "stop" or an exit code: ends (or stops) this process that way.
void end_process(const json& how) {
  if (how.is_number_integer()) std::_Exit(how.get<int>());
  const std::string name = how.get<std::string>();
  DS4_CHECK(name != "check", "scripted");
  if (name == "abort") std::abort();
  if (name == "segv") ::signal(SIGSEGV, SIG_DFL);  // a sanitizer would end it with an exit code
  ::raise(name == "segv" ? SIGSEGV : name == "stop" ? SIGSTOP : SIGKILL);
}

// Takes memory and touches it until there is none: std::bad_alloc, or a kill.
void grow() {
  std::vector<std::vector<char>> taken;
  while (true) taken.emplace_back(16 << 20, 'x');
}

ErrorCode code_of(const std::string& name) {
  return name == "checkpoint" ? ErrorCode::kCheckpoint : ErrorCode::kMachine;
}

Failure failure_of(const std::string& name) {
  return name == "broken" ? Failure::kBroken : name == "late" ? Failure::kLate : Failure::kRefused;
}

class ScriptedTarget final : public Target {
 public:
  explicit ScriptedTarget(const profiles::Profile& profile)
      : path_(profile.script), seed_(profile.engine.seed) {}

  Capabilities open(const OnPhase& on_phase) override {
    try {
      script_ = json::parse(read_file(path_));
    } catch (const json::exception& e) {
      throw Error(ErrorCode::kProfile, path_ + ": " + e.what(), "The script must be valid JSON.");
    }
    on_phase("load", "");
    const json open = script_.value("open", json::object());
    misbehave(open);
    if (open.contains("error")) {
      throw Error(code_of(open.value("code", "machine")), open["error"], "Scripted.");
    }
    on_phase("capture", "");
    misbehave(script_.value("capture", json::object()));
    return {.exact_token_counts = true,
            .tools = true,
            .thinking = true,
            .raw_prompts = true,
            .description = "scripted target"};
  }

  int64_t count_tokens(const Conversation& conversation) override {
    return count_bytes(conversation);
  }

  void run(Work& work) override {
    while (const std::optional<Work::Item> item = work.next(/*wait=*/true)) {
      work.done(item->id, answer(work, *item));
      misbehave(script_.value("idle", json::object()));
    }
  }

  std::vector<probes::Sample> observe() override { return {}; }
  void close() override { misbehave(script_.value("close", json::object())); }

 private:
  using GoOn = std::function<bool()>;  // false: told to stop

  // What may happen at any moment, in this order.
  void misbehave(const json& how) {
    sleep_ms(how.value("delay_ms", 0));
    take_memory(how, [] { return true; });
    if (how.contains("print")) std::fputs(how["print"].get<std::string>().c_str(), stderr);
    if (how.value("hang", false)) sleep_ms(int64_t{3600} * 1000);  // deaf to cancellation
    if (how.value("grow", false)) grow();
    if (how.contains("end")) end_process(how["end"]);
  }

  Response answer(Work& work, const Work::Item& item) {
    const std::string prompt = last_text(item.request);
    json rule = find_rule(prompt);
    const double start = monotonic_seconds();
    Response response;
    response.prompt_tokens = count_bytes(item.request);
    int64_t answered = 0;
    const GoOn go_on = [&] { return work.progress(item.id, response.prompt_tokens, answered); };
    const bool waited = wait(rule.value("delay_ms", 0), go_on);
    answered = rule.value("after_token", false) ? 1 : 0;
    if (!waited || !go_on() || !take_memory(rule, go_on)) {
      response.answer.finish_reason = "cancelled";
      return response;
    }
    // These have passed, in a way that can be cancelled.
    for (const char* passed : {"delay_ms", "grow_mib"}) rule.erase(passed);
    misbehave(rule);
    response.error = rule.value("error", "");
    if (!response.error.empty()) response.failure = failure_of(rule.value("failure", "refused"));
    response.cached_tokens = rule.value("cached_tokens", 0);
    response.answer.text = rule.value("leak", false) ? last_prompt_ : rule.value("text", "");
    last_prompt_ = prompt;
    response.answer.content = rule.value("content", response.answer.text);
    response.answer.reasoning = rule.value("reasoning", "");
    response.answer.finish_reason = rule.value("finish_reason", "stop");
    for (const json& call : rule.value("tool_calls", json::array())) {
      response.answer.tool_calls.push_back({"", call.at("name"), call.at("arguments").dump()});
    }
    if (response.error.empty()) write(work, item.id, rule, start, response);
    response.end_s = monotonic_seconds() - start;
    return response;
  }

  static std::string last_text(const Request& request) {
    if (request.raw) return request.raw->text;
    const auto& messages = request.conversation.messages;
    return messages.empty() ? "" : messages.back().content;
  }

  // The first rule whose `contains` is in the last message, whose `seed` (if any) is the cell's
  // engine.seed, and that has plays left. A sweep over engine.seed gives each cell its own play.
  json find_rule(const std::string& prompt) {
    for (json& rule : script_["rules"]) {
      if (prompt.find(rule.value("contains", "")) == std::string::npos) continue;
      if (rule.value("seed", seed_) != seed_) continue;
      if (rule.contains("times")) {
        const int left = rule["times"];
        if (left == 0) continue;
        rule["times"] = left - 1;
      }
      return rule;
    }
    return json::object();
  }

  static bool wait(int64_t ms, const GoOn& go_on) {
    for (; ms > 0; ms -= 10) {
      if (!go_on()) return false;
      sleep_ms(std::min<int64_t>(ms, 10));
    }
    return go_on();
  }

  // Takes `grow_mib` of memory at `grow_mib_s`, and keeps it; `deaf`: whatever it is told.
  bool take_memory(const json& how, const GoOn& go_on) {
    constexpr int64_t kStep_mib = 4;
    const auto rate = how.value("grow_mib_s", 1000.0);
    for (int64_t mib = how.value("grow_mib", 0); mib > 0; mib -= kStep_mib) {
      const double start = monotonic_seconds();
      taken_.emplace_back(static_cast<size_t>(kStep_mib) << 20, 'x');
      if (!go_on() && !how.value("deaf", false)) return false;
      const double left_s = static_cast<double>(kStep_mib) / rate - (monotonic_seconds() - start);
      if (left_s > 0) std::this_thread::sleep_for(std::chrono::duration<double>(left_s));
    }
    return true;
  }

  // The answer, `tokens` equal parts of its reasoning and then its content, `token_ms` apart.
  static void write(Work& work, int64_t id, const json& rule, double start, Response& response) {
    const int64_t n = rule.value("tokens", 1);
    suites::Answer& answer = response.answer;
    const std::string whole = answer.reasoning + answer.content;
    const size_t n_reasoning = answer.reasoning.size();
    size_t shown = 0;
    if (n == 0) work.text(id, {answer.reasoning, answer.content});
    for (int64_t i = 1; i <= n; ++i) {
      response.events.push_back({monotonic_seconds() - start, 1});
      const size_t end =
          character_end(whole, whole.size() * static_cast<size_t>(i) / static_cast<size_t>(n));
      const size_t cut = std::clamp(n_reasoning, shown, end);
      work.text(id, {whole.substr(shown, cut - shown), whole.substr(cut, end - cut), i});
      shown = end;
      response.completion_tokens = i;
      if (!work.progress(id, response.prompt_tokens, i)) {
        answer.finish_reason = "cancelled";
        answer.reasoning.resize(std::min(shown, n_reasoning));
        answer.content.resize(shown - answer.reasoning.size());
        break;
      }
      sleep_ms(rule.value("token_ms", 0));
    }
    if (!response.events.empty()) response.first_token_s = response.events.front().time_s;
  }

  // The first place at or behind `at` that is not inside a UTF-8 character.
  static size_t character_end(const std::string& text, size_t at) {
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
    return at;
  }

  std::string path_;
  uint64_t seed_;
  json script_;
  std::string last_prompt_;
  std::vector<std::string> taken_;  // by take_memory()
};

}  // namespace

std::unique_ptr<Target> make_scripted_target(const profiles::Profile& profile) {
  return std::make_unique<ScriptedTarget>(profile);
}

}  // namespace ds4::runners

#include "runners/guard/verdict.h"

#include <array>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "engine/base/units.h"

namespace ds4::runners::guard {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, kPhases> kPhaseNames = {"load",   "capture", "prefill",
                                                               "decode", "idle",    "teardown"};
constexpr std::array<std::string_view, 4> kActionNames = {"soft", "hard", "refused", "lost"};
constexpr std::array<std::string_view, 8> kRuleNames = {
    "floor", "time_to_floor", "thrash",          "swap_out",
    "grace", "blind",         "supervisor_gone", "guard_gone"};

// The enumerator whose name it is. Throws std::exception when there is none.
template <typename Enum, size_t N>
Enum enumerator(const json& text, const std::array<std::string_view, N>& names) {
  const auto& wanted = text.get_ref<const std::string&>();
  for (size_t i = 0; i < N; ++i) {
    if (names[i] == wanted) return static_cast<Enum>(i);
  }
  throw std::invalid_argument(wanted);
}

const char* reason(Rule rule) {
  switch (rule) {
    case Rule::kFloor:
      return "available memory fell under the floor";
    case Rule::kTimeToFloor:
      return "available memory fell too fast to stop at the floor";
    case Rule::kThrash:
      return "memory was tight and the whole machine waited for it";
    case Rule::kSwapOut:
      return "memory was tight and pages went to swap";
    case Rule::kGrace:
      return "it did not end when told to";
    case Rule::kBlind:
      return "available memory could not be read any more";
    case Rule::kSupervisorGone:
      return "the supervisor was gone";
    case Rule::kGuardGone:
      return "the guard was killed, crashed or stopped";
  }
  return "";
}

}  // namespace

std::string_view name(Phase phase) {
  return kPhaseNames[static_cast<size_t>(phase)];
}
std::string_view name(Action action) {
  return kActionNames[static_cast<size_t>(action)];
}
std::string_view name(Rule rule) {
  return kRuleNames[static_cast<size_t>(rule)];
}

std::optional<Phase> phase_of(std::string_view wanted) {
  for (size_t i = 0; i < kPhaseNames.size(); ++i) {
    if (kPhaseNames[i] == wanted) return static_cast<Phase>(i);
  }
  return std::nullopt;
}

std::string to_json(const Verdict& v) {
  return json{{"format", "ds4-guard-verdict-1"},
              {"action", name(v.action)},
              {"rule", name(v.rule)},
              {"hard_rule", v.hard_rule ? json(name(*v.hard_rule)) : json()},
              {"phase", name(v.phase)},
              {"in_teardown", v.in_teardown()},
              {"at", v.at},
              {"time_s", v.time_s},
              {"limit_bytes", v.limit_bytes},
              {"value_bytes", v.value_bytes},
              {"lowest_bytes", v.lowest_bytes},
              {"over_bytes", v.over_bytes()},
              {"rate_bytes_s", v.rate_bytes_s},
              {"reaction_s", v.reaction_s},
              {"removed", v.removed},
              {"kept", v.kept},
              {"sample", v.sample.empty() ? json() : json::parse(v.sample)}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<Verdict> verdict_from_json(std::string_view text) {
  try {
    const json j = json::parse(text);
    if (j.at("format") != "ds4-guard-verdict-1") return std::nullopt;
    Verdict v;
    v.action = enumerator<Action>(j.at("action"), kActionNames);
    v.rule = enumerator<Rule>(j.at("rule"), kRuleNames);
    if (!j.at("hard_rule").is_null()) v.hard_rule = enumerator<Rule>(j.at("hard_rule"), kRuleNames);
    v.phase = enumerator<Phase>(j.at("phase"), kPhaseNames);
    j.at("at").get_to(v.at);
    j.at("time_s").get_to(v.time_s);
    j.at("limit_bytes").get_to(v.limit_bytes);
    j.at("value_bytes").get_to(v.value_bytes);
    j.at("lowest_bytes").get_to(v.lowest_bytes);
    j.at("rate_bytes_s").get_to(v.rate_bytes_s);
    j.at("reaction_s").get_to(v.reaction_s);
    j.at("removed").get_to(v.removed);
    j.at("kept").get_to(v.kept);
    if (!j.at("sample").is_null()) v.sample = j.at("sample").dump();
    return v;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

std::string explain(const Verdict& v) {
  if (v.action == Action::kLost) {
    return "the guard was lost in " + std::string(name(v.phase)) +
           "; the launch was ended, for nothing protects the machine without it";
  }
  std::string text = std::string(reason(v.rule)) + " in " + std::string(name(v.phase));
  if (v.limit_bytes > 0) {
    text += ": " + format_bytes(v.value_bytes) + " available, the floor is " +
            format_bytes(v.limit_bytes);
    if (v.rate_bytes_s < 0) {
      text += ", falling by " + format_bytes(static_cast<int64_t>(-v.rate_bytes_s)) + "/s";
    }
  }
  if (v.action == Action::kRefused) return text + "; nothing was started";
  if (v.action == Action::kSoft) {
    return text + (v.reaction_s < 0 ? "; told to end" : "; told to end, it ended");
  }
  text += "; killed";
  if (v.hard_rule && *v.hard_rule != v.rule) text += " (" + std::string(reason(*v.hard_rule)) + ")";
  if (v.over_bytes() > 0) text += ", " + format_bytes(v.over_bytes()) + " under the floor at worst";
  return text;
}

}  // namespace ds4::runners::guard

// The toolcall15 suite: plays its scenarios with canned results and hands what happened to the
// judges (verdicts.h).
#include <algorithm>
#include <nlohmann/json.hpp>

#include "suites/common/answers.h"
#include "suites/common/conversation.h"
#include "suites/common/parameters.h"
#include "suites/common/rng.h"
#include "suites/common/tool_schema.h"
#include "suites/registry.h"
#include "suites/toolcall15/verdicts.h"

namespace ds4::suites {

extern const std::string_view toolcall15_toml;
extern const std::string_view toolcall15_tools_json;
extern const std::string_view toolcall15_scenarios_json;

namespace {

using Json = nlohmann::ordered_json;
using toolcall15::MadeCall;
using toolcall15::Play;

constexpr int64_t kScenarios = 15;

const Json& scenarios() {
  static const Json parsed = Json::parse(toolcall15_scenarios_json);
  return parsed;
}
const Json& scenario(int64_t number) {
  return scenarios().at("scenarios").at(static_cast<size_t>(number - 1));
}
const Json& tools() {
  static const Json parsed = Json::parse(toolcall15_tools_json);
  return parsed;
}

const std::vector<std::string>& functions() {
  static const std::vector<std::string> texts = [] {
    std::vector<std::string> out;
    for (const Json& tool : tools()) {
      out.push_back(function_text(tool.at("name"), tool.at("description"), tool.at("parameters"),
                                  tool.at("required")));
    }
    return out;
  }();
  return texts;
}

// What the tool says: the first of the scenario's results that fits, else the tool's own.
std::string canned_result(int64_t number, const MadeCall& call) {
  for (const Json& entry : scenario(number).at("results")) {
    if (entry.at("tool") != call.name || call.earlier < entry.value("after", size_t{0})) continue;
    const auto contains = [&](const auto& item) {
      return lower_case(call.argument(item.key())).find(item.value().template get<std::string>()) !=
             std::string::npos;
    };
    const Json with = entry.value("with", Json::object());
    const auto items = with.items();
    if (std::all_of(items.begin(), items.end(), contains)) return entry.at("result").dump();
  }
  for (const Json& tool : tools()) {
    if (tool.at("name") == call.name) return tool.at("otherwise").dump();
  }
  return Json{{"error", "there is no tool of the name " + printable(call.name, 60)}}.dump();
}

// "03/think/r0" -> 3.
int64_t number_of(const std::string& id) {
  return std::stoll(id.substr(0, 2));
}

std::vector<std::string> modes(const ParameterReader& reader) {
  return reader.choices("modes", {"as_set", "chat", "think", "high", "max"});
}
bool is_thinking(const std::string& mode, const CommonParameters& common) {
  return mode == "as_set" ? common.thinking : mode != "chat";
}

class ToolCall15 final : public Suite {
 public:
  std::string_view name() const override { return "toolcall15"; }
  std::string_view toml() const override { return toolcall15_toml; }

  std::vector<CaseSpec> plan(const Parameters& parameters) const override {
    const ParameterReader reader(name(), parameters);
    const CommonParameters common = common_parameters(reader);
    const int64_t repeats = reader.integer("repeats", {1, 1000, "times"});
    std::vector<CaseSpec> cases;
    for (const std::string& mode : modes(reader)) {
      for (int64_t r = 0; r < repeats; ++r) {
        for (const int64_t number : reader.integers("scenarios", {1, kScenarios, ""})) {
          CaseSpec spec;
          spec.tags = {{"scenario", numbered_id(number).substr(2)},
                       {"category", scenario(number).at("category")},
                       {"mode", mode}};
          spec.id = spec.tags["scenario"] + "/" + mode + "/r" + std::to_string(r);
          spec.seed = case_seed(name(), common.seed, spec.id);
          cases.push_back(std::move(spec));
        }
      }
    }
    return cases;
  }

  std::vector<Need> needs(const Parameters& parameters) const override {
    const ParameterReader reader(name(), parameters);
    const CommonParameters common = common_parameters(reader);
    bool with = false, without = false;
    for (const std::string& mode : modes(reader)) {
      (is_thinking(mode, common) ? with : without) = true;
    }
    std::vector<Need> needs = {Need::kTools};
    if (with) needs.push_back(Need::kThinking);
    if (without) needs.push_back(Need::kNoThinking);
    return needs;
  }

  Case build(const Parameters& parameters, const CaseSpec& spec,
             const TokenCounter&) const override {
    const ParameterReader reader(name(), parameters);
    const CommonParameters common = common_parameters(reader);
    const int64_t number = number_of(spec.id);
    const Json& played = scenario(number);
    const std::string& mode = spec.tags.at("mode");
    Case out;
    out.spec = spec;
    out.conversation = ask(played.at("user"), is_thinking(mode, common));
    if (mode == "high" || mode == "max") out.conversation.reasoning_effort = mode;
    Message system = message("system", scenarios().at("system"));
    system.tools = functions();
    out.conversation.messages.insert(out.conversation.messages.begin(), std::move(system));
    out.limits.max_tokens = common.max_tokens;
    out.expected = Json{{"scenario", number},
                        {"max_turns", reader.integer("max_turns", {1, 64, "answers"})},
                        {"full", played.at("full")},
                        {"part", played.at("part")}}
                       .dump();
    return out;
  }

  std::vector<Message> reply(std::string_view expected,
                             std::span<const Turn> turns) const override {
    const Json key = Json::parse(expected);
    const Answer& answer = turns.back().answer;
    if (was_cut(answer) || std::ssize(turns) >= key.at("max_turns").get<int64_t>()) return {};
    const Play play = toolcall15::play_of(turns);
    const size_t first = play.calls.size() - answer.tool_calls.size();
    std::vector<Message> results;
    for (size_t i = 0; i < answer.tool_calls.size(); ++i) {
      results.push_back(message("tool", canned_result(key.at("scenario"), play.calls[first + i])));
      results.back().tool_call_id = answer.tool_calls[i].id;
    }
    return results;
  }

  Score score(std::string_view expected, const Answer& answer) const override {
    const Turn only[] = {{answer}};
    return score_turns(expected, only);
  }

  Score score_turns(std::string_view expected, std::span<const Turn> turns) const override {
    const Json key = Json::parse(expected);
    const int64_t number = key.at("scenario");
    const Play play = toolcall15::play_of(turns);
    const toolcall15::Verdict verdict = toolcall15::judge(static_cast<int>(number), play);
    const Answer& last = turns.back().answer;
    if (was_cut(last) && verdict.points < 2) return invalid_score(last, "the scenario was over");
    std::string broken, leak;
    for (const Turn& turn : turns) {
      for (const ToolCall& call : turn.answer.tool_calls) {
        if (broken.empty()) broken = schema_problem(call, functions());
      }
      if (leak.empty()) leak = leaked_marker(visible_answer(turn.answer));
    }
    Score score;
    score.grade = verdict.points == 2 ? Grade::kCorrect : Grade::kWrong;
    score.values = {{"points", verdict.points / 2.0},
                    {"full", as_value(verdict.points == 2)},
                    {scenario(number).at("category"), verdict.points / 2.0},
                    {"schema_valid", as_value(broken.empty())},
                    {"no_leak", as_value(leak.empty())}};
    for (const MadeCall& call : play.calls) {
      score.extracted += (score.extracted.empty() ? "" : ", ") + call.name;
    }
    score.extracted = printable(score.extracted.empty() ? play.last : score.extracted);
    score.explanation = std::to_string(verdict.points) + " of 2 points: " + verdict.why;
    if (!broken.empty()) score.explanation += "; " + printable(broken);
    if (!leak.empty()) score.explanation += "; \"" + leak + "\" leaks into a visible text";
    score.explanation += ".";
    return score;
  }
};

}  // namespace

const Suite& toolcall15_suite() {
  static const ToolCall15 suite;
  return suite;
}

}  // namespace ds4::suites

// The tool-call suite: requests drawn from tools.json, graded on the parsed call.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "suites/common/answers.h"
#include "suites/common/conversation.h"
#include "suites/common/parameters.h"
#include "suites/common/rng.h"
#include "suites/common/text_pools.h"
#include "suites/registry.h"
#include "suites/tool_calls/check_call.h"

namespace ds4::suites {

extern const std::string_view tool_calls_toml;
extern const std::string_view tool_calls_tools_json;

namespace {

using Json = nlohmann::ordered_json;  // arguments keep their order

struct ToolParameter {
  std::string name, type, value;
};

struct Tool {
  std::string name, description;
  std::vector<ToolParameter> parameters;
  std::vector<std::string> requests;
};

const std::vector<Tool>& tools() {
  static const std::vector<Tool> parsed = [] {
    std::vector<Tool> out;
    for (const auto& entry : Json::parse(tool_calls_tools_json)) {
      Tool tool{entry.at("name"), entry.at("description"), {}, entry.at("requests")};
      for (const auto& p : entry.at("parameters")) {
        tool.parameters.push_back({p.at("name"), p.at("type"), p.at("value")});
      }
      out.push_back(std::move(tool));
    }
    return out;
  }();
  return parsed;
}

// {"name": ..., "description": ..., "parameters": {...}} with a blank after every colon and comma,
// the spelling models see in training. `parameters` is JSON text.
std::string function_json(const Tool& tool, const std::string& parameters) {
  return "{\"name\": " + Json(tool.name).dump() +
         ", \"description\": " + Json(tool.description).dump() + ", \"parameters\": " + parameters +
         "}";
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ", ") + part;
  return out;
}

// The short form: {"city": "string"}.
std::string short_definition(const Tool& tool) {
  std::vector<std::string> parts;
  for (const auto& p : tool.parameters) parts.push_back("\"" + p.name + "\": \"" + p.type + "\"");
  return function_json(tool, "{" + joined(parts) + "}");
}

// The usual JSON schema with every parameter required.
std::string schema_definition(const Tool& tool) {
  std::vector<std::string> properties, required;
  for (const auto& p : tool.parameters) {
    properties.push_back("\"" + p.name + "\": {\"type\": \"" + p.type + "\"}");
    required.push_back("\"" + p.name + "\"");
  }
  return function_json(tool, "{\"type\": \"object\", \"properties\": {" + joined(properties) +
                                 "}, \"required\": [" + joined(required) + "]}");
}

struct ToolParameters {
  int64_t cases = 0, offered_min = 0, offered_max = 0;
  bool as_text = false;
  CommonParameters common;
};

ToolParameters read(const Parameters& parameters) {
  const ParameterReader reader("tool_calls", parameters);
  const auto most = static_cast<int64_t>(tools().size());
  ToolParameters out;
  out.cases = reader.integer("cases", {1, kMaxNumberedCases, "cases"});
  out.offered_min = reader.integer("offered_min", {1, most, "tools"});
  out.offered_max = reader.integer("offered_max", {1, most, "tools"});
  if (out.offered_min > out.offered_max) {
    throw Error(ErrorCode::kProfile,
                "suite `tool_calls`: `offered_min` is " + std::to_string(out.offered_min) +
                    ", above `offered_max` = " + std::to_string(out.offered_max),
                "Use " + std::to_string(out.offered_max) + " or less.");
  }
  out.as_text = reader.choice("tools_in", {"tools", "system_text"}) == "system_text";
  out.common = common_parameters(reader);
  return out;
}

class ToolCalls final : public Suite {
 public:
  std::string_view name() const override { return "tool_calls"; }
  std::string_view toml() const override { return tool_calls_toml; }

  std::vector<CaseSpec> plan(const Parameters& parameters) const override {
    const ToolParameters p = read(parameters);
    std::vector<CaseSpec> cases;
    for (int64_t i = 0; i < p.cases; ++i) {
      const Tool& tool = tools()[static_cast<size_t>(i) % tools().size()];
      CaseSpec spec;
      spec.id = tool.name + "/" + numbered_id(i);
      spec.tags = {{"function", tool.name}};
      spec.seed = case_seed(name(), p.common.seed, spec.id);
      cases.push_back(std::move(spec));
    }
    return cases;
  }

  Case build(const Parameters& parameters, const CaseSpec& spec,
             const TokenCounter&) const override {
    const ToolParameters p = read(parameters);
    Rng rng(spec.seed);
    std::vector<Tool> others;
    Tool wanted;
    for (const Tool& tool : tools()) {
      if (tool.name == spec.tags.at("function")) {
        wanted = tool;
      } else {
        others.push_back(tool);
      }
    }
    const auto count = static_cast<size_t>(rng.between(p.offered_min, p.offered_max));
    std::vector<Tool> offered = rng.sample(std::move(others), count - 1);
    offered.insert(offered.begin() + static_cast<int64_t>(rng.below(count)), wanted);

    Bindings values;
    Json arguments = Json::object();
    for (const ToolParameter& parameter : wanted.parameters) {
      const std::string value = fill_template(parameter.value, {}, rng);
      values[parameter.name] = value;
      arguments[parameter.name] =
          parameter.type == "integer" ? Json(std::stoll(value)) : Json(value);
    }

    Case out;
    out.spec = spec;
    out.conversation =
        ask(fill_template(rng.pick(wanted.requests), values, rng), p.common.thinking);
    Message system = message("system", p.as_text ? "## Tools\n" : "");
    Json functions = Json::array();
    for (const Tool& tool : offered) {
      if (p.as_text) {
        system.content += short_definition(tool) + "\n";
      } else {
        system.tools.push_back(schema_definition(tool));
      }
      Json types = Json::object();
      for (const ToolParameter& parameter : tool.parameters) types[parameter.name] = parameter.type;
      functions.push_back({{"name", tool.name}, {"parameters", types}});
    }
    out.conversation.messages.insert(out.conversation.messages.begin(), std::move(system));
    out.limits.max_tokens = p.common.max_tokens;
    const Json call{{"name", wanted.name}, {"arguments", arguments}};
    out.expected = Json{{"wanted", call}, {"offered", functions}}.dump();
    return out;
  }

  std::vector<Need> needs(const Parameters& parameters) const override {
    std::vector<Need> needs = Suite::needs(parameters);
    if (!read(parameters).as_text) needs.push_back(Need::kTools);
    return needs;
  }

  Score score(std::string_view expected, const Answer& answer) const override {
    const auto json = nlohmann::json::parse(expected);
    const std::string_view leak = leaked_marker(visible_answer(answer));
    if (was_cut(answer) && answer.tool_calls.empty()) {
      return invalid_score(answer, "a call was complete");
    }
    CallVerdict verdict;
    if (answer.tool_calls.size() == 1) {
      verdict = check_call(answer.tool_calls[0], json.at("offered"), json.at("wanted"));
    } else if (answer.tool_calls.empty()) {
      verdict.problem = "the answer calls no function";
    } else {
      verdict.problem = "the answer makes " + std::to_string(answer.tool_calls.size()) + " calls";
    }
    if (!leak.empty()) {
      verdict.problem += (verdict.problem.empty() ? "" : ", and ") + ("\"" + std::string(leak)) +
                         "\" leaks into the visible text";
    }
    const bool correct =
        verdict.schema_valid && verdict.function && verdict.arguments && leak.empty();
    Score score;
    score.grade = correct ? Grade::kCorrect : Grade::kWrong;
    score.values = {{"correct", as_value(correct)},
                    {"schema_valid", as_value(verdict.schema_valid)},
                    {"function", as_value(verdict.function)},
                    {"arguments", as_value(verdict.arguments)},
                    {"no_leak", as_value(leak.empty())}};
    if (!answer.tool_calls.empty()) {
      const ToolCall& call = answer.tool_calls[0];
      score.extracted = printable(call.name + call.arguments);
    }
    const std::string name = json.at("wanted").at("name");
    score.explanation =
        correct ? "One call of " + name + " with the right arguments."
                : "Not the call of " + name + " that was wanted: " + verdict.problem + ".";
    return score;
  }
};

}  // namespace

const Suite& tool_calls_suite() {
  static const ToolCalls suite;
  return suite;
}

}  // namespace ds4::suites

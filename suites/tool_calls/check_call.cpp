// Schema first, then name, then values.
#include "suites/tool_calls/check_call.h"

#include <nlohmann/json.hpp>

#include "suites/common/answers.h"

namespace ds4::suites {
namespace {

bool has_type(const nlohmann::json& value, const std::string& type) {
  return type == "integer" ? value.is_number_integer() : value.is_string();
}

std::string normal_string(const std::string& text) {
  std::string out;
  for (char c : lower_case(text)) {
    if (std::string_view(" ,./-_*^").find(c) == std::string_view::npos) out += c == '\'' ? '"' : c;
  }
  return out;
}

bool same_value(const nlohmann::json& given, const nlohmann::json& wanted) {
  if (given.is_string() && wanted.is_string()) {
    return normal_string(given.get<std::string>()) == normal_string(wanted.get<std::string>());
  }
  return given.is_number_integer() && given == wanted;
}

// The first violation of the schema as a clause; empty when there is none.
std::string schema_problem(const nlohmann::json& arguments, const nlohmann::json& parameters) {
  for (const auto& [name, type] : parameters.items()) {
    if (!arguments.contains(name)) return "the argument " + name + " is missing";
    if (!has_type(arguments.at(name), type)) {
      return "the argument " + name + " is no " + type.get<std::string>();
    }
  }
  for (const auto& [name, value] : arguments.items()) {
    if (!parameters.contains(name))
      return "the argument \"" + printable(name, 40) + "\" is invented";
  }
  return "";
}

}  // namespace

CallVerdict check_call(const ToolCall& call, const nlohmann::json& offered,
                       const nlohmann::json& wanted) {
  CallVerdict verdict;
  const nlohmann::json* function = nullptr;
  for (const auto& candidate : offered) {
    if (candidate.at("name") == call.name) function = &candidate;
  }
  if (function == nullptr) {
    verdict.problem = "the function \"" + printable(call.name, 40) + "\" was not offered";
    return verdict;
  }
  verdict.function = call.name == wanted.at("name");
  const auto arguments = nlohmann::json::parse(call.arguments, nullptr, false);
  if (!arguments.is_object()) {  // covers text that is no JSON
    verdict.problem = "the arguments are no JSON object";
    return verdict;
  }
  verdict.problem = schema_problem(arguments, function->at("parameters"));
  verdict.schema_valid = verdict.problem.empty();
  if (!verdict.function) {
    verdict.problem = call.name + " was called instead of " + wanted.at("name").get<std::string>();
    return verdict;
  }
  verdict.arguments = true;
  for (const auto& [name, value] : wanted.at("arguments").items()) {
    if (arguments.contains(name) && same_value(arguments.at(name), value)) continue;
    verdict.arguments = false;
    if (verdict.problem.empty()) {
      verdict.problem = "the argument " + name + " is " +
                        printable(arguments.at(name).dump(-1, ' ', false,
                                                          nlohmann::json::error_handler_t::replace),
                                  60) +
                        " instead of " + value.dump();
    }
  }
  return verdict;
}

}  // namespace ds4::suites

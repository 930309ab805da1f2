#include "suites/common/tool_schema.h"

#include <nlohmann/json.hpp>

#include "suites/common/answers.h"

namespace ds4::suites {
namespace {

using Json = nlohmann::json;

bool has_type(const Json& value, const std::string& type) {
  if (type == "string") return value.is_string();
  if (type == "integer") return value.is_number_integer();
  if (type == "number") return value.is_number();
  if (type == "boolean") return value.is_boolean();
  if (type == "array") return value.is_array();
  return value.is_object();
}

std::string problem_of(const Json& value, const Json& schema, const std::string& name) {
  const std::string type = schema.at("type");
  if (!has_type(value, type)) return name + " is no " + type;
  if (schema.contains("enum")) {
    for (const Json& accepted : schema.at("enum")) {
      if (value == accepted) return "";
    }
    return name + " is none of the values allowed";
  }
  if (type == "array" && schema.contains("items")) {
    for (const Json& item : value) {
      const std::string problem = problem_of(item, schema.at("items"), "an item of " + name);
      if (!problem.empty()) return problem;
    }
  }
  if (type != "object" || !schema.contains("properties")) return "";
  const Json& properties = schema.at("properties");
  for (const Json& required : schema.value("required", Json::array())) {
    if (!value.contains(required)) return name + " lacks " + required.get<std::string>();
  }
  for (const auto& [key, member] : value.items()) {
    if (!properties.contains(key)) return name + " has an invented " + printable(key, 40);
    const std::string problem = problem_of(member, properties.at(key), key + " of " + name);
    if (!problem.empty()) return problem;
  }
  return "";
}

}  // namespace

std::string function_text(const std::string& name, const std::string& description,
                          const nlohmann::ordered_json& parameters,
                          const std::vector<std::string>& required) {
  return nlohmann::ordered_json{{"name", name},
                                {"description", description},
                                {"parameters",
                                 {{"type", "object"},
                                  {"properties", parameters},
                                  {"required", required},
                                  {"additionalProperties", false}}}}
      .dump();
}

std::string schema_problem(const ToolCall& call, const std::vector<std::string>& functions) {
  for (const std::string& text : functions) {
    const Json function = Json::parse(text);
    if (function.at("name") != call.name) continue;
    const Json arguments = Json::parse(call.arguments, nullptr, false);
    if (!arguments.is_object()) return "the arguments of " + call.name + " are no JSON object";
    return problem_of(arguments, function.at("parameters"), call.name);
  }
  return "the tool \"" + printable(call.name, 40) + "\" was not offered";
}

}  // namespace ds4::suites

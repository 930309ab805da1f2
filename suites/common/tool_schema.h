// Tools as models are told of them, and whether a call keeps to one's schema.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine/base/chat.h"

namespace ds4::suites {

/// An OpenAI `function` object as JSON text. `parameters`: {NAME: JSON schema}; nothing else may be
/// given (additionalProperties false).
std::string function_text(const std::string& name, const std::string& description,
                          const nlohmann::ordered_json& parameters,
                          const std::vector<std::string>& required);

/// Why a call breaks the schema of the tool it names, as a clause; "" when it does not.
/// `functions`: texts of function_text(). Looked at: the tool is offered; the arguments are a JSON
/// object; every required one is there, none is invented; types (5.0 is no integer), `enum`, items
/// of lists and members of objects.
std::string schema_problem(const ToolCall& call, const std::vector<std::string>& functions);

}  // namespace ds4::suites

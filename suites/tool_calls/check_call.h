// Judges one function call against the functions offered and the call that was wanted.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "engine/base/chat.h"

namespace ds4::suites {

/// What holds for a call; `problem` says in a clause what does not.
struct CallVerdict {
  bool schema_valid = false;
  bool function = false;
  bool arguments = false;
  std::string problem;
};

/// `offered`: list of {name, parameters: {NAME: "string" | "integer"}}, all of them required.
/// `wanted`: {name, arguments}. Strings are equal up to case and the characters " ,./-_*^";
/// integers must be JSON integers (5.0 is not 5).
CallVerdict check_call(const ToolCall& call, const nlohmann::json& offered,
                       const nlohmann::json& wanted);

}  // namespace ds4::suites

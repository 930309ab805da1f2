// Suite parameters: from TOML by the type of their default, to text for labels.
// Only for the .cpp files of this folder: it includes toml++.
#pragma once

#include <string>

#include "profiles/schema/toml_source.h"
#include "suites/suite.h"

namespace ds4::profiles {

/// A default in suite.toml; its type is the parameter's type. Arrays are of one type and not empty.
suites::ParameterValue default_value(const TomlSource& source, const toml::node& node,
                                     std::string_view key);

/// A value of the same type as `like`; integers are accepted where numbers are expected.
suites::ParameterValue value_like(const TomlSource& source, const toml::node& node,
                                  std::string_view key, const suites::ParameterValue& like);

}  // namespace ds4::profiles

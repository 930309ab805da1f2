#include "profiles/schema/json_values.h"

#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "engine/base/error.h"

namespace ds4::profiles {
namespace {

// In the order of the variant's alternatives.
constexpr std::array<const char*, 7> kTypes = {"boolean",  "integer", "number", "text",
                                               "integers", "numbers", "texts"};
static_assert(kTypes.size() == std::variant_size_v<suites::ParameterValue>);

template <size_t... I>
suites::ParameterValue value_of_type(size_t type, const nlohmann::json& json,
                                     std::index_sequence<I...>) {
  suites::ParameterValue value;
  ((I == type
        ? void(value.emplace<I>(json.get<std::variant_alternative_t<I, suites::ParameterValue>>()))
        : void()),
   ...);
  return value;
}

}  // namespace

nlohmann::json plain_json(const suites::ParameterValue& value) {
  return std::visit([](const auto& v) { return nlohmann::json(v); }, value);
}

nlohmann::json typed_json(const suites::ParameterValue& value) {
  return {{"type", kTypes[value.index()]}, {"value", plain_json(value)}};
}

suites::ParameterValue value_from_typed_json(const nlohmann::json& json) {
  const auto type = json.at("type").get<std::string>();
  for (size_t i = 0; i < kTypes.size(); ++i) {
    if (type == kTypes[i]) {
      return value_of_type(i, json.at("value"), std::make_index_sequence<kTypes.size()>());
    }
  }
  throw Error(ErrorCode::kIo, "a stored cell has a parameter of the unknown type `" + type + "`",
              "It was written by another version of ds4-sweep; use that one.");
}

}  // namespace ds4::profiles

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

nlohmann::json sampling_json(const suites::Sampling& sampling) {
  return {{"temperature", sampling.temperature},
          {"top_k", sampling.top_k},
          {"min_p", sampling.min_p},
          {"top_p", sampling.top_p},
          {"repetition_penalty", sampling.repetition_penalty},
          {"presence_penalty", sampling.presence_penalty},
          {"frequency_penalty", sampling.frequency_penalty},
          {"stop", sampling.stop}};
}

suites::Sampling sampling_from_json(const nlohmann::json& json) {
  suites::Sampling sampling;
  json.at("temperature").get_to(sampling.temperature);
  json.at("top_k").get_to(sampling.top_k);
  json.at("min_p").get_to(sampling.min_p);
  json.at("top_p").get_to(sampling.top_p);
  json.at("repetition_penalty").get_to(sampling.repetition_penalty);
  json.at("presence_penalty").get_to(sampling.presence_penalty);
  json.at("frequency_penalty").get_to(sampling.frequency_penalty);
  json.at("stop").get_to(sampling.stop);
  return sampling;
}

}  // namespace ds4::profiles

// A row of the tables of settings: how a key is read from TOML and how it is written. Only for the
// .cpp files of this folder: it includes toml++.
#pragma once

#include <string>
#include <type_traits>
#include <vector>

#include "profiles/schema/toml_source.h"

namespace ds4::profiles {

template <typename Section>
struct Key {
  const char* name;  // without the section
  void (*set)(Section&, const toml::node&, const TomlSource&);
  std::string (*get)(const Section&);
};

template <typename T>
std::string toml_text(const T& value) {
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    return value_to_toml(toml::value<int64_t>(static_cast<int64_t>(value)));
  } else {
    return value_to_toml(toml::value<T>(value));
  }
}

template <typename T>
std::string toml_text(const std::vector<T>& values) {
  toml::array array;
  for (const T& value : values) array.push_back(value);
  return value_to_toml(array);
}

}  // namespace ds4::profiles

#include "profiles/schema/parameter_value.h"

#include <cstdint>
#include <limits>
#include <type_traits>

namespace ds4::profiles {
namespace {

constexpr int64_t kMinInteger = std::numeric_limits<int64_t>::min();
constexpr int64_t kMaxInteger = std::numeric_limits<int64_t>::max();

template <typename T>
struct IsVector : std::false_type {};
template <typename T>
struct IsVector<std::vector<T>> : std::true_type {};

template <typename T>
T read(const TomlSource& source, const toml::node& node, std::string_view key) {
  if constexpr (std::is_same_v<T, bool>) {
    return source.boolean(node, key);
  } else if constexpr (std::is_same_v<T, int64_t>) {
    return source.integer(node, key, kMinInteger, kMaxInteger);
  } else if constexpr (std::is_same_v<T, double>) {
    return source.number(node, key);
  } else if constexpr (std::is_same_v<T, std::string>) {
    return source.string(node, key);
  } else {
    static_assert(IsVector<T>::value);
    T values;
    for (const toml::node& element : source.array(node, key)) {
      values.push_back(read<typename T::value_type>(source, element, key));
    }
    return values;
  }
}

}  // namespace

suites::ParameterValue default_value(const TomlSource& source, const toml::node& node,
                                     std::string_view key) {
  if (node.is_boolean()) return read<bool>(source, node, key);
  if (node.is_integer()) return read<int64_t>(source, node, key);
  if (node.is_floating_point()) return read<double>(source, node, key);
  if (node.is_string()) return read<std::string>(source, node, key);
  if (const auto* array = node.as_array(); array && !array->empty()) {
    const toml::node& first = *array->get(0);
    if (first.is_integer()) return read<std::vector<int64_t>>(source, node, key);
    if (first.is_floating_point()) return read<std::vector<double>>(source, node, key);
    if (first.is_string()) return read<std::vector<std::string>>(source, node, key);
  }
  source.fail(node, "`" + std::string(key) +
                        "` must be a boolean, a number, a string, or an array of numbers or "
                        "strings that is not empty");
}

suites::ParameterValue value_like(const TomlSource& source, const toml::node& node,
                                  std::string_view key, const suites::ParameterValue& like) {
  return std::visit(
      [&](const auto& value) -> suites::ParameterValue {
        return read<std::decay_t<decltype(value)>>(source, node, key);
      },
      like);
}

}  // namespace ds4::profiles

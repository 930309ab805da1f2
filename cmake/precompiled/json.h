// What most cold files include; see cmake/precompiled.cmake. Files include what they need all the
// same.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

// Compiled once, in json.cpp. The names behind `detail` are those of the release that Debian 12 and
// Ubuntu 24.04 have; with another one all is compiled where it is used.
#if NLOHMANN_JSON_VERSION_MAJOR == 3 && NLOHMANN_JSON_VERSION_MINOR == 11
#define DS4_JSON_ONCE(EXTERN)                                        \
  DS4_JSON_ONCE_OF(EXTERN, nlohmann::json);                          \
  DS4_JSON_ONCE_OF(EXTERN, nlohmann::ordered_json);                  \
  EXTERN template class nlohmann::basic_json<>;                      \
  EXTERN template class nlohmann::basic_json<nlohmann::ordered_map>; \
  EXTERN template class std::map<std::string, nlohmann::json, std::less<>>
#define DS4_JSON_ONCE_OF(EXTERN, JSON)                                              \
  EXTERN template class nlohmann::detail::serializer<JSON>;                         \
  EXTERN template class nlohmann::detail::json_sax_dom_parser<JSON>;                \
  EXTERN template class nlohmann::detail::json_sax_dom_callback_parser<JSON>;       \
  EXTERN template class nlohmann::detail::lexer<JSON, ds4::precompiled::OfString>;  \
  EXTERN template class nlohmann::detail::lexer<JSON, ds4::precompiled::OfView>;    \
  EXTERN template class nlohmann::detail::parser<JSON, ds4::precompiled::OfString>; \
  EXTERN template class nlohmann::detail::parser<JSON, ds4::precompiled::OfView>;   \
  EXTERN template class std::vector<JSON>
namespace ds4::precompiled {
using OfString = nlohmann::detail::iterator_input_adapter<std::string::const_iterator>;
using OfView = nlohmann::detail::iterator_input_adapter<std::string_view::const_iterator>;
}  // namespace ds4::precompiled
DS4_JSON_ONCE(extern);
#endif

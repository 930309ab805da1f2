// A parsed TOML file with the place of every node, and typed reads that complain by file and line.
// Only for the .cpp files of this folder: it includes toml++.
#pragma once

#include <toml++/toml.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ds4::profiles {

/// Names places of one file in messages.
struct TomlSource {
  std::string origin;               // "profiles/tiny.toml"
  std::string placeless = "--set";  // where a node without a place came from

  std::string where(const toml::source_region& region) const;
  std::string where(const toml::node& node) const { return where(node.source()); }

  /// Throws Error(kProfile): "WHERE: PROBLEM".
  [[noreturn]] void fail(const toml::node& node, const std::string& problem,
                         const std::string& hint = "") const;

  /// Throws for the first key of `table` that is not among `valid`: "WHERE: unknown key `x`".
  void require_known(const toml::table& table, std::span<const std::string> valid) const;

  // Typed reads; `key` names the value in messages.
  std::string string(const toml::node& node, std::string_view key) const;
  bool boolean(const toml::node& node, std::string_view key) const;
  int64_t integer(const toml::node& node, std::string_view key, int64_t min, int64_t max) const;
  double number(const toml::node& node, std::string_view key) const;   // finite; integers too
  int64_t bytes(const toml::node& node, std::string_view key) const;   // 4096 or "6GiB"
  double seconds(const toml::node& node, std::string_view key) const;  // 90 or "30m"; above 0
  std::string one_of(const toml::node& node, std::string_view key,
                     std::span<const std::string> valid) const;
  const toml::array& array(const toml::node& node, std::string_view key) const;
  const toml::table& table(const toml::node& node, std::string_view key) const;
};

/// "a string", "an integer", ... for messages.
const char* describe(toml::node_type type);

/// Parses TOML text. Throws Error(kProfile) "ORIGIN:LINE: ..." on a syntax error.
toml::table parse_toml(std::string_view text, std::string_view origin);

/// A value in canonical TOML text, on one line; parse_value() reads it back.
std::string value_to_toml(const toml::node& node);

/// A table with the single key `v`, holding the value of a --set pair or a stored axis. Text that
/// is no TOML value is taken as a string, so that `--set engine.kv_dtype=bf16` needs no quotes.
toml::table parse_value(std::string_view text);

}  // namespace ds4::profiles

// Typed, checked access to the keys of one JSON object, with errors that name file, key, value and
// remedy. Private to config.cpp: it exposes JSON.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace ds4::weights {

/// Reads keys of `object`; null counts as absent. All members throw Error(kCheckpoint).
class ConfigReader {
 public:
  /// `prefix` is put in front of key names in errors ("rope_scaling.").
  ConfigReader(const nlohmann::json& object, std::string file, std::string prefix = "")
      : object_(object), file_(std::move(file)), prefix_(std::move(prefix)) {}

  /// The value under `key` or one of its other names (model.md 1.1), or null.
  const nlohmann::json* find(const char* key) const;
  const nlohmann::json& require(const char* key) const;

  /// Integers in [low, high].
  int64_t integer(const char* key, int64_t low, int64_t high) const;
  int64_t integer_or(const char* key, int64_t fallback, int64_t low, int64_t high) const;
  /// Finite numbers above `low` (or equal to it with `low_included`).
  double number(const char* key, double low, bool low_included = false) const;
  double number_or(const char* key, double fallback, double low, bool low_included = false) const;
  bool boolean_or(const char* key, bool fallback) const;
  std::string text_or(const char* key, const std::string& fallback) const;
  /// Refuses a present key whose text is not `only`: what this engine does not implement.
  void expect_text(const char* key, const char* only) const;
  /// Refuses a present key whose truth is not `only`.
  void expect_bool(const char* key, bool only) const;

  int64_t integer_value(const nlohmann::json& value, const std::string& key, int64_t low,
                        int64_t high) const;
  [[noreturn]] void fail(const std::string& key, const nlohmann::json& value,
                         const std::string& must, const std::string& hint = "") const;
  [[noreturn]] void fail(const std::string& message, const std::string& hint) const;

 private:
  const nlohmann::json& object_;
  std::string file_;
  std::string prefix_;
};

}  // namespace ds4::weights

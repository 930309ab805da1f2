// Reads a suite's parameters with units and ranges, so that every suite reports a bad value in the
// same words. Presence and type are profiles/schema's business; here it is about the values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "suites/suite.h"

namespace ds4::suites {

/// What a number may be, and its unit for messages ("tokens"; empty for counts).
struct IntegerRange {
  int64_t min = 0;
  int64_t max = 0;
  std::string_view unit = {};
};
struct RealRange {
  double min = 0;
  double max = 0;
  std::string_view unit = {};
};

/// Every method throws Error(kProfile) with the nearest valid value in the hint. Lists must not be
/// empty nor name a value twice (cases would get the same id).
class ParameterReader {
 public:
  ParameterReader(std::string_view suite, const Parameters& parameters)
      : suite_(suite), parameters_(parameters) {}

  bool boolean(const std::string& key) const;
  int64_t integer(const std::string& key, const IntegerRange& range) const;
  std::vector<int64_t> integers(const std::string& key, const IntegerRange& range) const;
  /// As `integers`, but values may repeat: one per entry of another list, or one for all.
  std::vector<int64_t> integers_for(const std::string& key, const IntegerRange& range,
                                    const std::string& other, size_t entries) const;
  double real(const std::string& key, const RealRange& range) const;
  std::vector<double> reals(const std::string& key, const RealRange& range) const;
  std::string choice(const std::string& key, const std::vector<std::string>& choices) const;
  std::vector<std::string> choices(const std::string& key,
                                   const std::vector<std::string>& choices) const;

 private:
  void check(const std::string& key, double value, const RealRange& range) const;
  void check(const std::string& key, int64_t value, const IntegerRange& range) const;
  void check(const std::string& key, const std::string& value,
             const std::vector<std::string>& choices) const;
  std::string named(const std::string& key) const;

  std::string_view suite_;
  const Parameters& parameters_;
};

/// The most tokens an answer may be given.
inline constexpr int64_t kMaxAnswerTokens = 1 << 20;

/// The parameters every suite has: `seed`, `max_tokens`, `thinking`.
struct CommonParameters {
  int64_t seed = 0;
  int64_t max_tokens = 0;
  bool thinking = false;
};
CommonParameters common_parameters(const ParameterReader& reader);

/// The most cases of a suite whose cases are only numbered.
inline constexpr int64_t kMaxNumberedCases = 10000;

/// "0042": four digits always, so that ids stay the same when the number of cases grows.
std::string numbered_id(int64_t index);

}  // namespace ds4::suites

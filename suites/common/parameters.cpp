// Range checks and their messages.
#include "suites/common/parameters.h"

#include <algorithm>
#include <sstream>

#include "engine/base/check.h"
#include "engine/base/error.h"
#include "suites/common/edit_distance.h"

namespace ds4::suites {
namespace {

std::string number(double value) {
  std::ostringstream out;
  out.imbue(std::locale::classic());
  out << value;
  return out.str();
}

std::string with_unit(const std::string& value, std::string_view unit) {
  return unit.empty() ? value : value + " " + std::string(unit);
}

[[noreturn]] void fail(const std::string& what, const std::string& hint) {
  throw Error(ErrorCode::kProfile, what, hint);
}

}  // namespace

std::vector<Need> Suite::needs(const Parameters& parameters) const {
  const auto thinking = parameters.find("thinking");
  if (thinking == parameters.end()) return {};
  return {std::get<bool>(thinking->second) ? Need::kThinking : Need::kNoThinking};
}

const ParameterValue& parameter(const Parameters& parameters, const std::string& name) {
  const auto found = parameters.find(name);
  DS4_CHECK(found != parameters.end(), "parameter " + name);
  return found->second;
}

std::string ParameterReader::named(const std::string& key) const {
  return "suite `" + std::string(suite_) + "`: `" + key + "`";
}

void ParameterReader::check(const std::string& key, int64_t value,
                            const IntegerRange& range) const {
  if (value >= range.min && value <= range.max) return;
  fail(named(key) + " is " + with_unit(std::to_string(value), range.unit) +
           "; it must lie between " + std::to_string(range.min) + " and " +
           std::to_string(range.max),
       "Use " + std::to_string(std::clamp(value, range.min, range.max)) + ".");
}

void ParameterReader::check(const std::string& key, const std::string& value,
                            const std::vector<std::string>& choices) const {
  if (std::find(choices.begin(), choices.end(), value) != choices.end()) return;
  const auto distance = [&](const std::string& choice) { return edit_distance(value, choice, 64); };
  const auto nearest =
      std::min_element(choices.begin(), choices.end(),
                       [&](const auto& a, const auto& b) { return distance(a) < distance(b); });
  std::string all;
  for (const std::string& choice : choices) all += (all.empty() ? "" : ", ") + choice;
  fail(named(key) + " is \"" + value + "\"; it must be one of " + all, "Use \"" + *nearest + "\".");
}

bool ParameterReader::boolean(const std::string& key) const {
  return parameter_as<bool>(parameters_, key);
}

int64_t ParameterReader::integer(const std::string& key, const IntegerRange& range) const {
  const int64_t value = parameter_as<int64_t>(parameters_, key);
  check(key, value, range);
  return value;
}

std::vector<int64_t> ParameterReader::integers(const std::string& key,
                                               const IntegerRange& range) const {
  const auto& values = parameter_as<std::vector<int64_t>>(parameters_, key);
  if (values.empty()) {
    fail(named(key) + " is empty",
         "Use [" + std::to_string(std::max<int64_t>(range.min, 0)) + "].");
  }
  for (size_t i = 0; i < values.size(); ++i) {
    check(key, values[i], range);
    if (std::count(values.begin(), values.begin() + static_cast<int64_t>(i), values[i]) > 0) {
      fail(named(key) + " lists " + std::to_string(values[i]) + " twice", "List it once.");
    }
  }
  return values;
}

std::vector<int64_t> ParameterReader::integers_for(const std::string& key,
                                                   const IntegerRange& range,
                                                   const std::string& other, size_t entries) const {
  std::vector<int64_t> values = parameter_as<std::vector<int64_t>>(parameters_, key);
  for (int64_t value : values) check(key, value, range);
  if (values.size() == 1) values.resize(entries, values.front());
  if (values.size() != entries) {
    fail(named(key) + " has " + std::to_string(values.size()) + " entries for " +
             std::to_string(entries) + " in `" + other + "`",
         "Give one number for all, or " + std::to_string(entries) + " numbers.");
  }
  return values;
}

double ParameterReader::real(const std::string& key, const RealRange& range) const {
  const auto value = parameter_as<double>(parameters_, key);
  check(key, value, range);
  return value;
}

void ParameterReader::check(const std::string& key, double value, const RealRange& range) const {
  if (value >= range.min && value <= range.max) return;
  const double nearest = value > range.max ? range.max : range.min;
  fail(named(key) + " is " + with_unit(number(value), range.unit) + "; it must lie between " +
           number(range.min) + " and " + number(range.max),
       "Use " + number(nearest) + ".");
}

std::vector<double> ParameterReader::reals(const std::string& key, const RealRange& range) const {
  const auto& values = parameter_as<std::vector<double>>(parameters_, key);
  if (values.empty()) fail(named(key) + " is empty", "Use [" + number(range.min) + "].");
  for (size_t i = 0; i < values.size(); ++i) {
    check(key, values[i], range);
    if (std::count(values.begin(), values.begin() + static_cast<int64_t>(i), values[i]) > 0) {
      fail(named(key) + " lists " + number(values[i]) + " twice", "List it once.");
    }
  }
  return values;
}

std::string ParameterReader::choice(const std::string& key,
                                    const std::vector<std::string>& choices) const {
  const auto& value = parameter_as<std::string>(parameters_, key);
  check(key, value, choices);
  return value;
}

std::vector<std::string> ParameterReader::choices(const std::string& key,
                                                  const std::vector<std::string>& choices) const {
  const auto& values = parameter_as<std::vector<std::string>>(parameters_, key);
  if (values.empty()) fail(named(key) + " is empty", "Use [\"" + choices.front() + "\"].");
  for (size_t i = 0; i < values.size(); ++i) {
    check(key, values[i], choices);
    if (std::count(values.begin(), values.begin() + static_cast<int64_t>(i), values[i]) > 0) {
      fail(named(key) + " lists \"" + values[i] + "\" twice", "List it once.");
    }
  }
  return values;
}

CommonParameters common_parameters(const ParameterReader& reader) {
  CommonParameters common;
  common.seed = reader.integer("seed", {0, int64_t{1} << 53, ""});
  common.max_tokens = reader.integer("max_tokens", {1, kMaxAnswerTokens, "tokens"});
  common.thinking = reader.boolean("thinking");
  return common;
}

std::string numbered_id(int64_t index) {
  const std::string digits = std::to_string(index);
  DS4_CHECK(digits.size() <= 4, digits);
  return std::string(4 - digits.size(), '0') + digits;
}

}  // namespace ds4::suites

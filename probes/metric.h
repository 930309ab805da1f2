// What can be measured: the name, unit and direction of every metric, in one table.
#pragma once

#include <span>
#include <string_view>

namespace ds4::probes {

enum class Direction { kHigherIsBetter, kLowerIsBetter, kNeither };

struct Metric {
  std::string_view name;  // "ttft", "decode_rate"
  std::string_view unit;  // "s", "tok/s", "B"; "1" for ratios
  Direction direction;
  std::string_view description;  // one sentence; docs/glossary.md has the definition
  bool of_attempt = false;       // of one answer; else of a process or a machine
  bool is_share = false;         // a yes or no of each answer: a share of them, not a median
};

/// Every metric the harness can store, in the order reports show them.
std::span<const Metric> all_metrics();

/// The metric of that name, or nullptr.
const Metric* find_metric(std::string_view name);

}  // namespace ds4::probes

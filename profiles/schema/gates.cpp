#include "profiles/schema/gates.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <string>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "engine/base/units.h"
#include "probes/metric.h"
#include "probes/trace_metrics.h"
#include "profiles/schema/nearest.h"

namespace ds4::profiles {
namespace {

constexpr int64_t kMaxGatesBytes = 1 << 20;

using Definitions = std::span<const suites::Definition* const>;

std::string suite_name(const TomlSource& source, const toml::node& node, Definitions definitions) {
  const std::string name = source.string(node, "suite");
  std::vector<std::string> names;
  for (const suites::Definition* definition : definitions) {
    if (definition->name == name) return name;
    names.push_back(definition->name);
  }
  source.fail(node, "the gate names suite `" + name + "`, which this profile does not run",
              names.empty()
                  ? "Add a [[suite]]."
                  : "The nearest suite of the profile is `" + nearest(name, names) + "`.");
}

std::string score_name(const TomlSource& source, const toml::node& node, const std::string& suite,
                       Definitions definitions) {
  const std::string name = source.string(node, "score");
  std::vector<std::string> names;
  for (const suites::Definition* definition : definitions) {
    if (!suite.empty() && definition->name != suite) continue;
    for (const std::string& score : definition->scores) {
      if (score == name) return name;
      names.push_back(score);
    }
  }
  source.fail(
      node,
      suite.empty() ? "no suite of this profile gives the score `" + name + "`"
                    : "suite `" + suite + "` gives no score `" + name + "`",
      names.empty() ? "Add a [[suite]]." : "The nearest score is `" + nearest(name, names) + "`.");
}

std::string metric_name(const TomlSource& source, const toml::node& node) {
  const std::string name = source.string(node, "metric");
  if (probes::find_metric(name)) return name;
  std::vector<std::string> names;
  for (const probes::Metric& metric : probes::all_metrics()) names.emplace_back(metric.name);
  source.fail(node, "unknown metric `" + name + "`",
              "The nearest metric is `" + nearest(name, names) + "`.");
}

// A bound in the figure's unit: a number, or text with a unit ("500ms", "2GiB").
double bound(const TomlSource& source, const toml::node& node, const char* key, const Gate& gate,
             bool is_score) {
  if (is_score) {
    const double value = source.number(node, key);
    if (value < 0 || value > 1) source.fail(node, "a score lies between 0 and 1");
    return value;
  }
  const std::string_view unit = probes::find_metric(gate.figure)->unit;
  if (const auto* text = node.as_string(); text && (unit == "s" || unit == "B")) {
    try {
      return unit == "B" ? static_cast<double>(parse_bytes(text->get()))
                         : static_cast<double>(parse_duration(text->get()).count()) / 1000.0;
    } catch (const Error& e) {
      source.fail(node, std::string("`") + key + "`: " + e.what(), e.hint());
    }
  }
  return source.number(node, key);
}

std::map<std::string, std::string> read_tags(const TomlSource& source, const toml::node& node) {
  std::map<std::string, std::string> tags;
  for (const auto& [key, value] : source.table(node, "tags")) {
    const std::string name(key.str());
    if (const auto* integer = value.as_integer()) {
      tags[name] = std::to_string(integer->get());
    } else if (value.is_floating_point()) {
      // 0.5 and "0.50" are different tags; a guess would match nothing without a word.
      source.fail(value, "`tags." + name + "` is a number with a fraction; tags are text",
                  "Write it in quotes, as the suite does, e.g. depth = \"0.50\".");
    } else {
      tags[name] = source.string(value, "tags." + name);
    }
  }
  return tags;
}

// A share: 0.03, or "3%".
double share(const TomlSource& source, const toml::node& node) {
  double value = 0;
  if (const auto* text = node.as_string()) {
    const std::string& written = text->get();
    const char* end = written.data() + written.size();
    const auto [rest, failed] = std::from_chars(written.data(), end, value);
    const std::string_view unit(rest, static_cast<size_t>(end - rest));
    if (failed != std::errc() || (unit != "%" && unit != " %")) {
      source.fail(node, "`not_worse_by` is no share: \"" + written + "\"",
                  "Write for example not_worse_by = \"3%\".");
    }
    value /= 100;
  } else {
    value = source.number(node, "not_worse_by");
  }
  if (!(value >= 0 && value < 1)) {
    source.fail(node, "`not_worse_by` must be at least 0 and less than 1",
                "Write for example not_worse_by = \"3%\", which is 0.03.");
  }
  return value;
}

// `no = "oom"`: about launches, so that nothing else of a gate applies.
void read_outcome(const TomlSource& source, const toml::table& table, Gate& gate) {
  const std::string valid[] = {"no"};
  source.require_known(table, valid);
  std::vector<std::string> names(gate_outcomes().begin(), gate_outcomes().end());
  gate.outcome = source.one_of(*table.get("no"), "no", names);
}

void read_baseline(const TomlSource& source, const toml::node& node, Gate& gate) {
  gate.baseline = source.string(node, "baseline");
  if (gate.baseline.empty() || gate.baseline.find(':') != std::string::npos) {
    source.fail(node, "`baseline` is a name that `ds4-sweep baseline set` gave to a run",
                "A published figure has no spread to judge by: write its value as `min` or `max`.");
  }
}

// `not_worse_by` and `baseline`: a bound that another run's figure sets.
void read_relative(const TomlSource& source, const toml::table& table, bool is_score, Gate& gate) {
  const toml::node* loss = table.get("not_worse_by");
  const toml::node* baseline = table.get("baseline");
  if (!loss || !baseline) {
    source.fail(table, "`not_worse_by` and `baseline` go together",
                "Write for example not_worse_by = \"3%\" and baseline = \"green\".");
  }
  for (const char* key : {"min", "max", "tags"}) {
    if (const toml::node* node = table.get(key)) {
      source.fail(*node, std::string("`") + key + "` does not go with `baseline`",
                  "Write two gates: one against the baseline, one with the bound.");
    }
  }
  gate.not_worse_by = share(source, *loss);
  read_baseline(source, *baseline, gate);
  if (!is_score && probes::find_metric(gate.figure)->direction == probes::Direction::kNeither) {
    source.fail(table, "`" + gate.figure + "` is neither better higher nor lower",
                "Bound it with `min` and `max`.");
  }
}

// `max = "floor"`: what the memory has less what must stay free.
bool read_floor(const TomlSource& source, const toml::node& node,
                std::optional<int64_t> memory_floor, Gate& gate) {
  if (node.value<std::string>() != "floor") return false;
  if (gate.figure != "peak_memory") {
    source.fail(node, "only `peak_memory` can be held against the floor");
  }
  if (!memory_floor) {
    source.fail(node, "the profile sets no floor",
                "Add memory_floor = \"6GiB\" to [limits], or write the bound in bytes.");
  }
  gate.floor = *memory_floor;
  return true;
}

void read_bounds(const TomlSource& source, const toml::table& table,
                 std::optional<int64_t> memory_floor, bool is_score, Gate& gate) {
  if (const toml::node* node = table.get("min")) {
    gate.min = bound(source, *node, "min", gate, is_score);
    gate.has_min = true;
  }
  if (const toml::node* node = table.get("max");
      node && !read_floor(source, *node, memory_floor, gate)) {
    gate.max = bound(source, *node, "max", gate, is_score);
    gate.has_max = true;
  }
  if (!gate.has_min && !gate.has_max && gate.floor == 0) {
    source.fail(table, "a gate needs `min` or `max`", "Write for example min = 0.98.");
  }
  if (gate.has_min && gate.has_max && gate.min > gate.max) {
    source.fail(table, "`min` is above `max`: no figure can keep this gate");
  }
}

// A figure of two runs' traces: its bounds hold against a baseline.
void read_of_traces(const TomlSource& source, const toml::table& table, Gate& gate) {
  const toml::node* baseline = table.get("baseline");
  if (!baseline) {
    source.fail(table,
                "`" + gate.figure + "` is a figure of two runs: name the other as `baseline`",
                "Write for example baseline = \"green\" and min = 0.99 (docs/traces.md).");
  }
  for (const char* key : {"not_worse_by", "tags"}) {
    if (const toml::node* node = table.get(key)) {
      source.fail(*node, std::string("`") + key + "` does not go with `" + gate.figure + "`",
                  "Bound it with `min` or `max`.");
    }
  }
  read_baseline(source, *baseline, gate);
  read_bounds(source, table, std::nullopt, /*is_score=*/false, gate);
}

}  // namespace

std::span<const std::string_view> gate_outcomes() {
  static constexpr std::string_view kOutcomes[] = {"oom", "watchdog", "failure", "invalid"};
  return kOutcomes;
}

Gate read_gate(const TomlSource& source, const toml::table& table, Definitions definitions,
               std::optional<int64_t> memory_floor) {
  Gate gate;
  gate.source = source.where(table);
  if (table.contains("no")) {
    read_outcome(source, table, gate);
    return gate;
  }
  const std::string valid[] = {"suite", "score", "metric",       "tags",     "min",
                               "max",   "min_n", "not_worse_by", "baseline", "no"};
  source.require_known(table, valid);
  if (const toml::node* node = table.get("suite")) {
    gate.suite = suite_name(source, *node, definitions);
  }
  const toml::node* score = table.get("score");
  const toml::node* metric = table.get("metric");
  if ((score == nullptr) == (metric == nullptr)) {
    source.fail(table, "a gate needs either `score` or `metric`",
                "Write for example score = \"exact\" or metric = \"ttft\"; or no = \"oom\" alone.");
  }
  gate.figure =
      score ? score_name(source, *score, gate.suite, definitions) : metric_name(source, *metric);
  if (const toml::node* node = table.get("tags")) gate.tags = read_tags(source, *node);
  if (probes::is_trace_metric(gate.figure)) {
    read_of_traces(source, table, gate);
  } else if (table.contains("not_worse_by") || table.contains("baseline")) {
    read_relative(source, table, score != nullptr, gate);
  } else {
    read_bounds(source, table, memory_floor, score != nullptr, gate);
  }
  if (const toml::node* node = table.get("min_n")) {
    gate.min_n = source.integer(*node, "min_n", 1, std::numeric_limits<int32_t>::max());
  }
  return gate;
}

std::vector<Gate> read_gates(const TomlSource& source, const toml::table& root,
                             Definitions definitions, std::optional<int64_t> memory_floor) {
  std::vector<Gate> gates;
  const toml::node* node = root.get("gate");
  if (!node) return gates;
  if (!node->is_array_of_tables()) {
    source.fail(*node, "`gate` must be written [[gate]], once per gate");
  }
  for (const toml::node& element : *node->as_array()) {
    gates.push_back(read_gate(source, *element.as_table(), definitions, memory_floor));
  }
  return gates;
}

void add_gates(Profile& profile, const std::filesystem::path& path) {
  const TomlSource source{path.string()};
  const toml::table root = parse_toml(read_file(path, kMaxGatesBytes), source.origin);
  const std::string valid[] = {"gate"};
  source.require_known(root, valid);
  std::vector<const suites::Definition*> definitions;
  for (const SuiteSection& suite : profile.suites) {
    definitions.push_back(&suite_definition(*suites::find_suite(suite.name)));
  }
  std::vector<Gate> gates = read_gates(source, root, definitions, profile.memory_floor);
  if (gates.empty()) {
    throw Error(ErrorCode::kProfile, source.origin + ": holds no [[gate]]",
                "Write [[gate]] once per gate; docs/gates.md shows each kind.");
  }
  profile.gates.insert(profile.gates.end(), gates.begin(), gates.end());
}

}  // namespace ds4::profiles

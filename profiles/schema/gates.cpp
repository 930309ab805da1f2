#include "profiles/schema/gates.h"

#include <algorithm>
#include <limits>
#include <string>

#include "engine/base/error.h"
#include "engine/base/units.h"
#include "probes/metric.h"
#include "profiles/schema/nearest.h"

namespace ds4::profiles {
namespace {

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

}  // namespace

Gate read_gate(const TomlSource& source, const toml::table& table, Definitions definitions) {
  const std::string valid[] = {"suite", "score", "metric", "tags", "min", "max", "min_n"};
  source.require_known(table, valid);
  Gate gate;
  gate.source = source.where(table);
  if (const toml::node* node = table.get("suite")) {
    gate.suite = suite_name(source, *node, definitions);
  }
  const toml::node* score = table.get("score");
  const toml::node* metric = table.get("metric");
  if ((score == nullptr) == (metric == nullptr)) {
    source.fail(table, "a gate needs either `score` or `metric`",
                "Write for example score = \"exact\" or metric = \"ttft\".");
  }
  gate.figure =
      score ? score_name(source, *score, gate.suite, definitions) : metric_name(source, *metric);
  if (const toml::node* node = table.get("tags")) gate.tags = read_tags(source, *node);
  if (const toml::node* node = table.get("min")) {
    gate.min = bound(source, *node, "min", gate, score != nullptr);
    gate.has_min = true;
  }
  if (const toml::node* node = table.get("max")) {
    gate.max = bound(source, *node, "max", gate, score != nullptr);
    gate.has_max = true;
  }
  if (!gate.has_min && !gate.has_max) {
    source.fail(table, "a gate needs `min` or `max`", "Write for example min = 0.98.");
  }
  if (gate.has_min && gate.has_max && gate.min > gate.max) {
    source.fail(table, "`min` is above `max`: no figure can keep this gate");
  }
  if (const toml::node* node = table.get("min_n")) {
    gate.min_n = source.integer(*node, "min_n", 1, std::numeric_limits<int32_t>::max());
  }
  return gate;
}

}  // namespace ds4::profiles

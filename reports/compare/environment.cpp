#include "reports/compare/environment.h"

#include <map>
#include <nlohmann/json.hpp>
#include <set>

namespace ds4::reports {
namespace {

using nlohmann::json;

// "engine.kv_dtype" -> value for every leaf of a JSON text; a text that is none is one leaf.
std::map<std::string, std::string> leaves(const std::string& text) {
  std::map<std::string, std::string> found;
  const json parsed = json::parse(text, nullptr, false);
  if (!parsed.is_object()) return {{"", text}};
  const json flat = parsed.flatten();
  for (const auto& [pointer, value] : flat.items()) {
    std::string name = pointer.empty() ? "" : pointer.substr(1);
    for (char& c : name) c = c == '/' ? '.' : c;
    found[name] = value.is_string() ? value.get<std::string>()
                                    : value.dump(-1, ' ', false, json::error_handler_t::replace);
  }
  return found;
}

class Collector {
 public:
  void add(const std::string& what, const std::string& base, const std::string& now) {
    if (base != now) differences.push_back({what, base, now});
  }
  void add_leaves(const std::string& prefix, const std::string& base, const std::string& now,
                  const std::string& suffix) {
    const auto before = leaves(base), after = leaves(now);
    std::set<std::string> names;
    for (const auto* side : {&before, &after}) {
      for (const auto& [name, value] : *side) names.insert(name);
    }
    const auto value_of = [](const auto& side, const std::string& name) {
      const auto found = side.find(name);
      return found == side.end() ? std::string() : found->second;
    };
    for (const std::string& name : names) {
      add(prefix + name + suffix, value_of(before, name), value_of(after, name));
    }
  }
  std::vector<EnvironmentDifference> differences;
};

std::string build_of(const RunRow& run) {
  return run.version + ", " + run.commit + (run.dirty ? ", modified" : "");
}

// Rows of older databases know the run's checkpoint alone.
std::string identity_of(const RunRow& run, const CellRow& cell) {
  return cell.checkpoint_path.empty() ? run.checkpoint_identity : cell.checkpoint_identity;
}

}  // namespace

std::vector<EnvironmentDifference> environment_differences(const RunData& base, const RunData& now,
                                                           const std::vector<CellPair>& pairs) {
  Collector collector;
  const auto where = [&](const CellPair& pair) {
    return pairs.size() > 1 ? " (" + pair.label() + ")" : std::string();
  };
  for (const CellPair& pair : pairs) {
    collector.add("checkpoint identity" + where(pair), identity_of(base.run, pair.base),
                  identity_of(now.run, pair.now));
  }
  for (const CellPair& pair : pairs) {
    collector.add_leaves("", pair.base.semantics, pair.now.semantics, where(pair));
  }
  collector.add_leaves("machine.", base.run.machine, now.run.machine, "");
  collector.add("build", build_of(base.run), build_of(now.run));
  return std::move(collector.differences);
}

}  // namespace ds4::reports

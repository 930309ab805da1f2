#include "profiles/schema/overrides.h"

#include <map>
#include <vector>

#include "engine/base/error.h"
#include "profiles/schema/nearest.h"

namespace ds4::profiles {
namespace {

// The [[suite]] table of that name, or nullptr; collects the names it saw.
toml::table* find_suite_table(toml::table& root, const std::string& name,
                              std::vector<std::string>& names) {
  toml::array* tables = root.get_as<toml::array>("suite");
  if (!tables) return nullptr;
  for (toml::node& element : *tables) {
    toml::table* table = element.as_table();
    const auto* given = table ? table->get_as<std::string>("name") : nullptr;
    if (!given) continue;
    if (given->get() == name) return table;
    names.push_back(given->get());
  }
  return nullptr;
}

// The table of that key, made when there is none; nullptr when it is something else.
toml::table* inner_table(toml::table& table, const std::string& key) {
  if (!table.contains(key)) table.insert(key, toml::table());
  return table.get_as<toml::table>(key);
}

}  // namespace

void apply_override(toml::table& root, const std::string& pair) {
  const size_t equals = pair.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw Error(ErrorCode::kUsage, "--set " + pair + ": not of the form key=value",
                "Write for example --set engine.kv_dtype=bf16.");
  }
  const std::string key = pair.substr(0, equals);
  // Copies of nodes carry no source position: that is what marks them as set here.
  const toml::table parsed = parse_value(std::string_view(pair).substr(equals + 1));
  const toml::node& value = *parsed.get("v");

  const size_t dot = key.find('.');
  if (dot == std::string::npos) {
    root.insert_or_assign(key, value);
    return;
  }
  const std::string section = key.substr(0, dot), name = key.substr(dot + 1);
  // The tables that a section may have inside.
  const std::map<std::string, std::vector<std::string>> sections = {
      {"engine", {}},
      {"server", {}},
      {"sampling", {}},
      {"limits", {}},
      {"sweep", {}},
      {"guard", {"floors"}},
      {"launch", {"flags", "env", "launcher"}}};
  if (const auto found = sections.find(section); found != sections.end()) {
    toml::table* table = inner_table(root, section);
    std::string last = name;
    for (const std::string& nested : found->second) {
      if (!table || !name.starts_with(nested + ".")) continue;
      table = inner_table(*table, nested);
      last = name.substr(nested.size() + 1);
    }
    // Of a wrong type in the file: validation says so, with its line.
    if (table) table->insert_or_assign(last, value);
    return;
  }
  std::vector<std::string> names;
  for (const auto& [known, inner] : sections) names.push_back(known);
  toml::table* suite = find_suite_table(root, section, names);
  if (!suite) {
    throw Error(ErrorCode::kProfile, "--set: unknown key `" + key + "`",
                "The nearest section is `" + nearest(section, names) +
                    "`; a suite's parameter can be set when the profile runs the suite.");
  }
  suite->insert_or_assign(name, value);
}

}  // namespace ds4::profiles

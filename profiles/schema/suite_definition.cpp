// suite.toml: name, version, description, scores, and the parameters with their defaults.
#include <limits>
#include <map>
#include <mutex>
#include <string>

#include "engine/base/error.h"
#include "profiles/schema/parameter_value.h"
#include "profiles/schema/profile.h"
#include "profiles/schema/toml_source.h"

namespace ds4::profiles {
namespace {

const toml::node& required(const toml::table& table, const char* key, std::string_view origin) {
  if (const toml::node* node = table.get(key)) return *node;
  throw Error(ErrorCode::kProfile, std::string(origin) + ": the key `" + key + "` is missing",
              std::string("Add `") + key + "`; docs/suites.md shows a whole suite.toml.");
}

}  // namespace

suites::Definition parse_suite_definition(std::string_view text, std::string_view origin) {
  const toml::table table = parse_toml(text, origin);
  const TomlSource source{std::string(origin)};
  const std::string valid[] = {"name", "version", "description", "scores", "defaults"};
  source.require_known(table, valid);

  suites::Definition definition;
  definition.name = source.string(required(table, "name", origin), "name");
  definition.version = static_cast<int>(source.integer(
      required(table, "version", origin), "version", 1, std::numeric_limits<int>::max()));
  definition.description = source.string(required(table, "description", origin), "description");
  const toml::node& scores = required(table, "scores", origin);
  for (const toml::node& score : source.array(scores, "scores")) {
    definition.scores.push_back(source.string(score, "scores"));
  }
  if (definition.scores.empty())
    source.fail(scores, "`scores` is empty; the first is the headline");
  if (const toml::node* node = table.get("defaults")) {
    for (const auto& [key, value] : source.table(*node, "defaults")) {
      const std::string name(key.str());
      if (name == "name") {
        source.fail(value, "a parameter cannot be called `name`",
                    "In a profile's [[suite]] that key names the suite.");
      }
      definition.defaults[name] = default_value(source, value, name);
    }
  }
  return definition;
}

const suites::Definition& suite_definition(const suites::Suite& suite) {
  // Suites live as long as the program, so the address is a lasting key.
  static std::mutex mutex;
  static std::map<const suites::Suite*, suites::Definition> parsed;
  const std::lock_guard lock(mutex);
  const auto found = parsed.find(&suite);
  if (found != parsed.end()) return found->second;
  const std::string origin = "suites/" + std::string(suite.name()) + "/suite.toml";
  return parsed.emplace(&suite, parse_suite_definition(suite.toml(), origin)).first->second;
}

}  // namespace ds4::profiles

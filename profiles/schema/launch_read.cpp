#include "profiles/schema/launch_read.h"

#include <algorithm>
#include <charconv>

namespace ds4::profiles {
namespace {

bool is_name(std::string_view name, std::string_view also) {
  if (name.empty() || name.size() > 128) return false;
  return std::all_of(name.begin(), name.end(), [&](const char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           also.find(c) != std::string_view::npos;
  });
}

// One line: what goes into a command line, a .env file or YAML has no place for another.
std::string line(const toml::node& node, const std::string& key, const TomlSource& source) {
  const std::string text = source.string(node, key);
  if (text.find_first_of(std::string_view("\n\r\0", 3)) != std::string::npos) {
    source.fail(node, "`" + key + "` has a line break; it must be one line");
  }
  return text;
}

// A value as it will be written on a command line.
std::string value_text(const toml::node& node, const std::string& key, const TomlSource& source) {
  if (const auto* integer = node.as_integer()) return std::to_string(integer->get());
  if (node.is_floating_point()) {
    char text[32];
    const auto end = std::to_chars(text, text + sizeof text, source.number(node, key)).ptr;
    return std::string(text, end);
  }
  return line(node, key, source);
}

// The entries of a table in the order of the file.
std::vector<std::pair<std::string, const toml::node*>> in_order(const toml::table& table) {
  std::vector<std::pair<toml::source_position, std::pair<std::string, const toml::node*>>> entries;
  for (const auto& [key, node] : table) {
    entries.push_back({key.source().begin, {std::string(key.str()), &node}});
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::pair<std::string, const toml::node*>> result;
  for (auto& [position, entry] : entries) result.push_back(std::move(entry));
  return result;
}

LaunchPairs variables(const toml::node& node, const std::string& section,
                      const TomlSource& source) {
  LaunchPairs pairs;
  for (const auto& [name, value] : in_order(source.table(node, section))) {
    if (!is_name(name, "_") || (name[0] >= '0' && name[0] <= '9')) {
      source.fail(*value, "`" + section + "`: `" + name + "` is no name of a variable",
                  "Names are letters, digits and underscores.");
    }
    pairs.emplace_back(name, value_text(*value, section + "." + name, source));
  }
  return pairs;
}

LaunchFlag flag_of(const std::string& name, const toml::node& node, const TomlSource& source) {
  const std::string key = "launch.flags." + name;
  if (name.starts_with("-") || !is_name(name, "-_.")) {
    source.fail(node, "`launch.flags`: `" + name + "` is no name of a flag",
                "Write it without its dashes: max-model-len.");
  }
  if (!node.is_boolean()) return {name, value_text(node, key, source), false};
  if (!source.boolean(node, key)) {
    source.fail(node, "`" + key + "` is false",
                "Leave the flag out, or name the one that turns it off: no-" + name + " = true.");
  }
  return {name, "", true};
}

}  // namespace

const LaunchFlag* LaunchSection::flag(const std::string& name) const {
  for (const LaunchFlag& flag : flags) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

const std::string* LaunchSection::variable(const std::string& name) const {
  for (const auto& [key, value] : env) {
    if (key == name) return &value;
  }
  return nullptr;
}

LaunchSection read_launch(const toml::node& node, const TomlSource& source) {
  const toml::table& table = source.table(node, "launch");
  const std::string valid[] = {"server",    "model", "revision", "image",
                               "container", "flags", "env",      "launcher"};
  source.require_known(table, valid);
  LaunchSection launch;
  const toml::node* server = table.get("server");
  if (!server) source.fail(node, "[launch] needs the key `server`", "Add server = \"vllm\".");
  const std::string servers[] = {"vllm", "sglang"};
  launch.server = source.one_of(*server, "launch.server", servers);
  const std::pair<const char*, std::string*> texts[] = {{"model", &launch.model},
                                                        {"revision", &launch.revision},
                                                        {"image", &launch.image},
                                                        {"container", &launch.container}};
  for (const auto& [key, text] : texts) {
    if (const auto* value = table.get(key)) {
      *text = line(*value, std::string("launch.") + key, source);
    }
  }
  if (const auto* flags = table.get("flags")) {
    for (const auto& [name, value] : in_order(source.table(*flags, "launch.flags"))) {
      launch.flags.push_back(flag_of(name, *value, source));
    }
  }
  if (const auto* env = table.get("env")) launch.env = variables(*env, "launch.env", source);
  if (const auto* keys = table.get("launcher")) {
    launch.launcher = variables(*keys, "launch.launcher", source);
  }
  return launch;
}

}  // namespace ds4::profiles

#include "profiles/schema/launch_read.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "profiles/schema/nearest.h"
#include "profiles/schema/settings.h"

namespace ds4::profiles {
namespace {

constexpr std::array<std::string_view, 5> kServers = {"vllm", "sglang", "llama.cpp", "ds4-server",
                                                      "other"};
constexpr std::array<std::string_view, 17> kPlaceholders = {
    "port",          "host",         "model",     "served_model", "checkpoint", "ds4-sweep",
    "flags",         "device",       "kv_dtype",  "index_dtype",  "residency",  "context_length",
    "prefill_chunk", "draft_tokens", "sequences", "threads",      "seed"};
// What servers call the flag that takes a key.
constexpr std::array<std::string_view, 4> kKeyFlags = {"api-key", "api_key", "hf-token",
                                                       "admin-api-key"};

std::vector<std::string> texts(std::span<const std::string_view> names) {
  return {names.begin(), names.end()};
}

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

// A command line is seen by everybody on the machine, and a profile is stored with every run.
void refuse_key_flag(std::string_view name, const toml::node& node, const TomlSource& source) {
  if (std::find(kKeyFlags.begin(), kKeyFlags.end(), name) == kKeyFlags.end()) return;
  source.fail(node, "`" + std::string(name) + "` would show a key on the command line",
              "Let the server read it from the environment (vLLM: VLLM_API_KEY), and name the "
              "variable in server.api_key_env.");
}

std::vector<std::string> command_words(const toml::node& node, const TomlSource& source) {
  std::vector<std::string> words;
  for (const toml::node& element : source.array(node, "launch.command")) {
    const std::string word = line(element, "launch.command", source);
    for (const std::string& name : placeholders_of(word)) {
      const auto known = texts(kPlaceholders);
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        source.fail(element, "`launch.command`: unknown placeholder `{" + name + "}`",
                    "The nearest is `{" + nearest(name, known) + "}`.");
      }
      if (name == "flags" && word != "{flags}") {
        source.fail(element, "`launch.command`: `{flags}` must be a word of its own",
                    "It becomes several words.");
      }
    }
    const size_t name = word.find_first_not_of('-');
    if (name != 0 && name != std::string::npos) {
      refuse_key_flag(std::string_view(word).substr(name, word.find('=') - name), element, source);
    }
    words.push_back(word);
  }
  if (words.empty() || words[0].empty()) {
    source.fail(node, "`launch.command` is empty", "Leave it out for the server's usual command.");
  }
  return words;
}

LaunchLimits limits_of(const toml::node& node, const TomlSource& source) {
  LaunchLimits limits;
  const std::pair<const char*, double*> keys[] = {{"port", &limits.port_s},
                                                  {"health", &limits.health_s},
                                                  {"model", &limits.model_s},
                                                  {"answer", &limits.answer_s},
                                                  {"stop", &limits.stop_s}};
  const toml::table& table = source.table(node, "launch.limits");
  std::vector<std::string> valid;
  for (const auto& [key, value] : keys) valid.push_back(key);
  source.require_known(table, valid);
  for (const auto& [key, value] : keys) {
    if (const auto* given = table.get(key)) {
      *value = source.seconds(*given, std::string("launch.limits.") + key);
    }
  }
  return limits;
}

LaunchFlag flag_of(const std::string& name, const toml::node& node, const TomlSource& source) {
  const std::string key = "launch.flags." + name;
  if (name.starts_with("-") || !is_name(name, "-_.")) {
    source.fail(node, "`launch.flags`: `" + name + "` is no name of a flag",
                "Write it without its dashes: max-model-len.");
  }
  refuse_key_flag(name, node, source);
  if (!node.is_boolean()) return {name, value_text(node, key, source), false};
  if (!source.boolean(node, key)) {
    source.fail(node, "`" + key + "` is false",
                "Leave the flag out, or name the one that turns it off: no-" + name + " = true.");
  }
  return {name, "", true};
}

}  // namespace

std::string server_hint() {
  std::string names;
  for (const std::string_view name : kServers) {
    names += (names.empty() ? "" : name == kServers.back() ? " or " : ", ");
    names += '"' + std::string(name) + '"';
  }
  return "Add server = " + names + " to [launch].";
}

std::span<const std::string_view> launch_servers() {
  return kServers;
}

std::span<const std::string_view> launch_placeholders() {
  return kPlaceholders;
}

std::vector<std::string> placeholders_of(std::string_view word) {
  std::vector<std::string> names;
  for (size_t open = word.find('{'); open != word.npos; open = word.find('{', open + 1)) {
    const size_t close = word.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-", open + 1);
    if (close == word.npos || word[close] != '}' || close == open + 1) continue;
    names.emplace_back(word.substr(open + 1, close - open - 1));
  }
  return names;
}

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

LaunchSection read_launch(const toml::node& node, const Profile& profile,
                          const TomlSource& source) {
  const toml::table& table = source.table(node, "launch");
  const std::string valid[] = {"server", "model",  "revision",        "image",   "container",
                               "flags",  "env",    "launcher",        "command", "folder",
                               "log",    "limits", "metrics_interval"};
  source.require_known(table, valid);
  LaunchSection launch;
  const toml::node* server = table.get("server");
  if (!server) source.fail(node, "[launch] needs the key `server`", server_hint());
  launch.server = source.one_of(*server, "launch.server", texts(kServers));
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
  if (const auto* command = table.get("command")) launch.command = command_words(*command, source);
  if (const auto* folder = table.get("folder")) {
    launch.folder = path_setting(profile, "launch.folder", *folder, source).string();
  }
  if (const auto* log = table.get("log")) {
    launch.log = path_setting(profile, "launch.log", *log, source).string();
  }
  if (const auto* limits = table.get("limits")) launch.limits = limits_of(*limits, source);
  if (const auto* interval = table.get("metrics_interval")) {
    launch.metrics_interval_s = source.seconds(*interval, "launch.metrics_interval");
  }
  return launch;
}

}  // namespace ds4::profiles

#include "profiles/exchange/export.h"

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "profiles/exchange/command.h"
#include "profiles/exchange/keys.h"
#include "profiles/exchange/shell.h"

namespace ds4::profiles {
namespace {

// A JSON string is a double-quoted scalar of YAML; compose reads `$` as the start of a variable.
std::string yaml_string(const std::string& text) {
  std::string doubled;
  for (const char c : text) doubled += c == '$' ? std::string("$$") : std::string(1, c);
  return nlohmann::json(doubled).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string first_line(const Profile& profile) {
  std::string name = profile.name;
  for (char& c : name) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return "# " + name + ": written by `ds4-sweep export`\n";
}

}  // namespace

std::string export_command(const Profile& profile) {
  std::string out = first_line(profile);
  if (!profile.launch.env.empty()) {
    out += "env";
    for (const auto& [key, value] : profile.launch.env) {
      out += " \\\n  " + key + "=" + shell_word(value);
    }
    out += " \\\n";
  }
  const std::vector<std::string> words = server_command(profile);
  bool first = true;
  for (const std::string& word : words) {
    if (word.starts_with("--")) {
      out += " \\\n  " + word;
    } else {
      out += (first ? "" : " ") + shell_word(word);
    }
    first = false;
  }
  return out + "\n";
}

std::string export_env(const Profile& profile) {
  std::string out = first_line(profile);
  std::vector<std::string> left_out;
  for (const auto& [key, value] : env_keys(profile, left_out)) {
    out += key + "=" + shell_word(value) + "\n";
  }
  for (const std::string& flag : left_out) {
    out += "# not in EXTRA_ARGS, which is split at spaces: " + flag + "\n";
  }
  return out;
}

std::string export_compose(const Profile& profile) {
  const LaunchSection& launch = profile.launch;
  if (launch.image.empty()) {
    throw Error(ErrorCode::kProfile,
                profile.path.string() + ": no image for a container: [launch] has no `image`",
                "Add it, or --set launch.image=NAME:TAG.");
  }
  const std::vector<std::string> words = server_command(profile);
  std::string out = first_line(profile);
  out += "services:\n  server:\n    image: " + yaml_string(launch.image) + "\n";
  if (!launch.container.empty()) {
    out += "    container_name: " + yaml_string(launch.container) + "\n";
  }
  out += "    entrypoint: []\n    command:\n";
  for (const std::string& word : words) out += "      - " + yaml_string(word) + "\n";
  if (!launch.env.empty()) out += "    environment:\n";
  for (const auto& [key, value] : launch.env) {
    out += "      " + key + ": " + yaml_string(value) + "\n";
  }
  // No memory limit: it does not count what a GPU that shares the memory allocates.
  out +=
      "    network_mode: host\n    ipc: host\n    ulimits:\n      memlock: -1\n"
      "      stack: 67108864\n    volumes:\n"
      "      - ${HF_HOME:-~/.cache/huggingface}:/root/.cache/huggingface\n"
      "    deploy:\n      resources:\n        reservations:\n          devices:\n"
      "            - driver: nvidia\n              count: all\n              capabilities: [gpu]\n";
  return out;
}

}  // namespace ds4::profiles

// A profile as the keys of a published .env file.
#include <nlohmann/json.hpp>

#include "profiles/exchange/command.h"
#include "profiles/exchange/json_text.h"
#include "profiles/exchange/key_table.h"
#include "profiles/exchange/keys.h"
#include "profiles/exchange/shell.h"

namespace ds4::profiles {
namespace {

using nlohmann::json;

const std::string& text_of(const LaunchSection& launch, const std::string& member) {
  if (member == "model") return launch.model;
  if (member == "revision") return launch.revision;
  return member == "image" ? launch.image : launch.container;
}

std::string thinking_of(const LaunchSection& launch) {
  const LaunchFlag* flag = launch.flag(kTemplate);
  if (!flag || !bounded_json(flag->value)) return "";
  const json kwargs = json::parse(flag->value, nullptr, false);
  if (!kwargs.is_object() || !kwargs.contains("thinking")) return "";
  return kwargs.at("thinking") == true ? "true" : "false";
}

}  // namespace

LaunchPairs env_keys(const Profile& profile, std::vector<std::string>& left_out) {
  const LaunchSection& launch = profile.launch;
  const std::vector<LaunchFlag> flags = server_flags(profile);
  std::vector<bool> said(flags.size(), false);  // by a key of its own
  const auto flag = [&](const std::string& name) -> const LaunchFlag* {
    for (size_t i = 0; i < flags.size(); ++i) {
      if (flags[i].name != name) continue;
      said[i] = true;
      return &flags[i];
    }
    return nullptr;
  };
  LaunchPairs pairs;
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) pairs.emplace_back(name, value);
  };
  for (const char* derived :
       {"revision", "max-model-len", "max-num-batched-tokens", "max-num-seqs", kTemplate}) {
    flag(derived);
  }
  for (const EnvKey& key : env_key_table()) {
    if (!key.exported) continue;
    const std::string to = key.to;
    if (key.home == Home::kText) {
      add(key.name, text_of(launch, to));
    } else if (key.home == Home::kSetting) {
      const EngineSection& engine = profile.engine;
      add(key.name, std::to_string(to == "engine.context_length"  ? engine.context_length
                                   : to == "engine.prefill_chunk" ? engine.prefill_chunk
                                                                  : engine.sequences));
    } else if (key.home == Home::kFlag || key.home == Home::kKvDtype) {
      if (const LaunchFlag* found = flag(to)) add(key.name, found->value);
    } else if (key.home == Home::kSwitch) {
      if (flag(to)) add(key.name, "1");
      if (flag("no-" + to)) add(key.name, "0");
    } else if (key.home == Home::kFloorKb && profile.memory_floor) {
      add(key.name, std::to_string(*profile.memory_floor / 1024));
    } else if (key.home == Home::kThinking) {
      add(key.name, thinking_of(launch));
    } else if (key.home == Home::kDrafts) {
      const LaunchFlag* found = flag(to);
      pairs.emplace_back(key.name, found ? found->value : "");  // empty = off
    } else if (key.home == Home::kTools) {
      const LaunchFlag* parser = launch.flag("tool-call-parser");
      if (parser && parser->value == kParser && flag("enable-auto-tool-choice")) {
        flag("tool-call-parser");
        add(key.name, "1");
      }
    } else if (key.home == Home::kReasoning) {
      const LaunchFlag* parser = launch.flag("reasoning-parser");
      if (parser && parser->value == kParser) {
        flag("reasoning-parser");
        add(key.name, "1");
      }
    }
  }
  for (const auto& [name, value] : launch.launcher) pairs.emplace_back(name, value);
  for (const auto& [name, value] : launch.env) pairs.emplace_back(name, value);
  std::string extra;
  for (size_t i = 0; i < flags.size(); ++i) {
    if (said[i]) continue;
    const std::string& value = flags[i].value;
    if (shell_word(value) == value || flags[i].bare) {
      const char* between = value.starts_with("-") ? "=" : " ";  // or it would be a flag itself
      extra += (extra.empty() ? "--" : " --") + flags[i].name;
      if (!flags[i].bare) extra += between + value;
    } else {
      left_out.push_back("--" + flags[i].name + " " + shell_word(value));
    }
  }
  if (!extra.empty()) pairs.emplace_back("EXTRA_ARGS", extra);
  return pairs;
}

}  // namespace ds4::profiles

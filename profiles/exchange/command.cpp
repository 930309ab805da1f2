#include "profiles/exchange/command.h"

#include <nlohmann/json.hpp>

#include "engine/base/check.h"
#include "engine/base/checkpoint_name.h"
#include "engine/base/error.h"
#include "profiles/exchange/json_text.h"

namespace ds4::profiles {
namespace {

using nlohmann::ordered_json;

constexpr const char* kTokens = "num_speculative_tokens";

std::vector<LaunchFlag> derived_flags(const Profile& profile) {
  const EngineSection& engine = profile.engine;
  const bool fp8 = engine.kv_dtype == "fp8";
  if (profile.launch.server != "vllm" && profile.launch.server != "sglang" &&
      !profile.launch.server.empty()) {
    return {};
  }
  if (profile.launch.server == "sglang") {
    return {{"context-length", std::to_string(engine.context_length)},
            {"chunked-prefill-size", std::to_string(engine.prefill_chunk)},
            {"max-running-requests", std::to_string(engine.sequences)},
            {"kv-cache-dtype", fp8 ? "fp8_e4m3" : "auto"}};
  }
  return {{"max-model-len", std::to_string(engine.context_length)},
          {"max-num-batched-tokens", std::to_string(engine.prefill_chunk)},
          {"max-num-seqs", std::to_string(engine.sequences)},
          {"kv-cache-dtype", fp8 ? "fp8" : "bfloat16"}};
}

}  // namespace

std::string drafts_json(const std::string& text, int64_t tokens) {
  ordered_json config = text.empty() ? ordered_json{{"method", "deepseek_mtp"}}
                                     : ordered_json::parse(text, nullptr, false);
  if (!config.is_object() || !bounded_json(text)) return "";
  if (drafts_of(text) == tokens) return text;  // as it was written
  config[kTokens] = tokens;
  return config.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

int64_t drafts_of(const std::string& text) {
  if (!bounded_json(text)) return 0;
  const ordered_json config = ordered_json::parse(text, nullptr, false);
  if (!config.is_object() || !config.contains(kTokens)) return 0;
  const auto& tokens = config.at(kTokens);
  return tokens.is_number_integer() ? tokens.get<int64_t>() : 0;
}

std::vector<LaunchFlag> server_flags(const Profile& profile) {
  std::vector<LaunchFlag> flags = derived_flags(profile);
  if (!profile.launch.revision.empty()) {
    flags.insert(flags.begin(), {"revision", profile.launch.revision});
  }
  const LaunchFlag* drafts = profile.launch.flag("speculative-config");
  const bool vllm = profile.launch.server != "sglang";
  if (profile.engine.draft_tokens > 0 && vllm && !drafts) {
    flags.push_back({"speculative-config", drafts_json("", profile.engine.draft_tokens)});
  }
  for (LaunchFlag flag : profile.launch.flags) {
    if (flag.name == "speculative-config") {
      if (profile.engine.draft_tokens == 0) continue;
      flag.value = drafts_json(flag.value, profile.engine.draft_tokens);
    }
    bool replaced = false;
    for (LaunchFlag& there : flags) {
      if (there.name != flag.name) continue;
      there = flag;
      replaced = true;
    }
    if (!replaced) flags.push_back(flag);
  }
  return flags;
}

std::string server_model(const Profile& profile) {
  if (!profile.launch.model.empty()) return profile.launch.model;
  for (const auto& [key, value] : profile.launch.launcher) {
    if (key == "MODEL_DIR" && !value.empty()) return value;
  }
  const std::string folder = profile.checkpoint.string();
  if (!is_synthetic_name(folder) && std::filesystem::exists(profile.checkpoint)) return folder;
  throw Error(ErrorCode::kProfile,
              profile.path.string() + ": no model for another server: [launch] has no `model`",
              "Add [launch] with server = \"vllm\" and model = \"OWNER/NAME\", or --set "
              "launch.model=OWNER/NAME.");
}

namespace {

using Words = std::vector<std::string>;

// The usual command of a server; empty where none is known.
Words usual_command(const std::string& server) {
  if (server == "sglang") {
    return {"python3", "-m", "sglang.launch_server", "--model-path", "{model}", "{flags}"};
  }
  if (server == "vllm" || server.empty()) return {"vllm", "serve", "{model}", "{flags}"};
  return {};
}

Words flag_words(const Profile& profile) {
  Words words;
  for (const LaunchFlag& flag : server_flags(profile)) {
    words.push_back("--" + flag.name);
    if (!flag.bare) words.push_back(flag.value);
  }
  return words;
}

std::string value_of(const std::string& name, const Profile& profile, const CommandPlace& place) {
  const EngineSection& engine = profile.engine;
  if (name == "port") return place.port;
  if (name == "host") return place.host;
  if (name == "ds4-sweep") return place.program;
  if (name == "model") return server_model(profile);
  if (name == "served_model") return profile.server.model;
  if (name == "checkpoint") return profile.checkpoint.string();
  if (name == "device") return engine.device;
  if (name == "kv_dtype") return engine.kv_dtype;
  if (name == "index_dtype") return engine.index_dtype;
  if (name == "residency") return engine.residency;
  if (name == "context_length") return std::to_string(engine.context_length);
  if (name == "prefill_chunk") return std::to_string(engine.prefill_chunk);
  if (name == "draft_tokens") return std::to_string(engine.draft_tokens);
  if (name == "sequences") return std::to_string(engine.sequences);
  if (name == "threads") return std::to_string(engine.threads);
  DS4_CHECK(name == "seed", name);
  return std::to_string(engine.seed);
}

Words filled(const Words& command, const Profile& profile, const CommandPlace& place) {
  Words words;
  for (std::string word : command) {
    if (word == "{flags}") {
      const Words flags = flag_words(profile);
      words.insert(words.end(), flags.begin(), flags.end());
      continue;
    }
    size_t from = 0;  // behind what was filled in: values are no templates
    for (const std::string& name : placeholders_of(word)) {
      const std::string value = value_of(name, profile, place);
      const size_t at = word.find("{" + name + "}", from);
      word.replace(at, name.size() + 2, value);
      from = at + value.size();
    }
    words.push_back(std::move(word));
  }
  return words;
}

}  // namespace

std::vector<std::string> server_command(const Profile& profile) {
  const LaunchSection& launch = profile.launch;
  const Words command = launch.command.empty() ? usual_command(launch.server) : launch.command;
  if (command.empty()) {
    throw Error(ErrorCode::kProfile,
                profile.path.string() + ": the command of `" + launch.server + "` is not known",
                "Add launch.command = [\"WORD\", ...].");
  }
  return filled(command, profile, {"127.0.0.1", "8000", "ds4-sweep"});
}

std::vector<std::string> managed_command(const Profile& profile, const CommandPlace& place) {
  Words command = profile.launch.command;
  if (command.empty()) {
    command = usual_command(profile.launch.server);
    const Words where = {"--host", "{host}", "--port", "{port}"};
    command.insert(command.end() - 1, where.begin(), where.end());
  }
  return filled(command, profile, place);
}

}  // namespace ds4::profiles

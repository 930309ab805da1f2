#include "profiles/exchange/import.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "profiles/exchange/env_file.h"
#include "profiles/exchange/json_text.h"
#include "profiles/exchange/keys.h"

namespace ds4::profiles {
namespace {

using nlohmann::ordered_json;

// Flags of recipes that a .env file has a key for.
constexpr std::pair<const char*, const char*> kRecipeKeys[] = {
    {"served_model_name", "SERVED_MODEL_NAME"},
    {"host", "HOST"},
    {"port", "PORT"},
    {"max_model_len", "CONTEXT_LENGTH"},
    {"max_num_seqs", "MAX_NUM_SEQS"},
    {"gpu_memory_utilization", "GPU_MEMORY_UTILIZATION"},
    {"kv_cache_dtype", "KV_CACHE_DTYPE"},
};

Draft begin(const std::string& origin) {
  Draft draft;
  const std::filesystem::path file(origin);
  draft.origin = file.filename().string();
  draft.name = file.stem().string();
  draft.description = "imported from " + draft.origin;
  draft.launch.server = "vllm";
  return draft;
}

// K160 in one of the names says how many experts generated weights need.
void end(Draft& draft) {
  if (!draft.checkpoint.empty()) return;
  const LaunchFlag* served = draft.launch.flag("served-model-name");
  for (const std::string& name :
       {draft.name, draft.launch.model, served ? served->value : std::string()}) {
    const int experts = experts_in(name);
    if (experts == 0) continue;
    draft.checkpoint = "synthetic:k" + std::to_string(experts);
    return;
  }
}

void note(Draft& draft, const std::string& key, const std::string& value, const std::string& reason,
          bool unknown = false) {
  draft.notes.push_back({draft.origin, key, value, reason, unknown});
}

std::string text_of(const ordered_json& value) {
  return value.is_string() ? value.get<std::string>()
                           : value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

// A key of the recipe, or of its extra_args, as a flag of the server.
void as_flag(Draft& draft, std::string key, const ordered_json& value) {
  const std::string given = key;
  for (char& c : key) c = c == '_' ? '-' : c;
  Note from{draft.origin, given, text_of(value), "", false};
  if (value.is_boolean()) {
    take_flag(draft, {value.get<bool>() ? key : "no-" + key, "", true}, from);
  } else {
    take_flag(draft, {key, text_of(value), false}, from);
  }
}

void take_extra_args(Draft& draft, const ordered_json& extra) {
  if (!extra.is_object()) return note(draft, "extra_args", text_of(extra), "no object", true);
  for (const auto& [key, value] : extra.items()) {
    if (value.is_null()) {
      note(draft, key, "null", "empty: the server's default");
    } else if (key == "description" && value.is_string()) {
      draft.description = value.get<std::string>();
    } else if (key == "docker_container") {
      draft.launch.container = text_of(value);
    } else if (key == "launch_command") {
      note(draft, key, text_of(value), "a command, and nothing is run here; `export` writes one");
    } else {
      as_flag(draft, key, value);
    }
  }
}

void take_recipe_key(Draft& draft, const std::string& key, const ordered_json& value) {
  const std::string text = text_of(value);
  if (value.is_null()) return note(draft, key, text, "empty: the server's default");
  for (const auto& [recipe, env] : kRecipeKeys) {
    if (key != recipe) continue;
    const size_t notes = draft.notes.size();
    take_key(draft, {draft.origin, env, text, "", false});
    for (size_t i = notes; i < draft.notes.size(); ++i) draft.notes[i].key = key;
    return;
  }
  if (key == "id") {
    if (value.is_string()) draft.name = text;
  } else if (key == "name") {
    draft.description = text;
  } else if (key == "backend") {
    if (text == "vllm" || text == "sglang") {
      draft.launch.server = text;
    } else {
      note(draft, key, text, "export writes commands of vllm and sglang");
    }
  } else if (key == "model_path") {
    const bool folder = text.starts_with("/") || text.starts_with(".") || text.starts_with("~");
    take_key(draft, {draft.origin, folder ? "MODEL_DIR" : "MODEL_REPO", text, "", false});
  } else if (key == "thinking_mode") {
    take_key(draft, {draft.origin, "THINKING", text, "", false});
  } else if (key == "max_thinking_tokens") {
    note(draft, key, text, "see max_tokens of each [[suite]]");
  } else if (key == "python_path") {
    note(draft, key, text, "of the machine it was written on");
  } else if (key == "env_vars") {
    if (!value.is_object()) return note(draft, key, text, "no object", true);
    for (const auto& [name, variable] : value.items()) {
      const size_t notes = draft.notes.size();
      take_key(draft, {draft.origin, name, text_of(variable), "", false});
      if (draft.notes.size() == notes || !draft.notes.back().unknown) continue;
      // Whatever a recipe sets is the server's environment.
      const EnvFile named = parse_env(name + "=x", draft.origin);
      if (named.entries.size() != 1 || named.entries[0].key != name) continue;
      draft.notes.pop_back();
      draft.launch.env.emplace_back(name, text_of(variable));
    }
  } else if (key == "extra_args") {
    take_extra_args(draft, value);
  } else if (key == "trust_remote_code" || key == "tool_call_parser" || key == "reasoning_parser" ||
             key == "enable_auto_tool_choice" || key == "quantization" || key == "dtype" ||
             key == "tensor_parallel_size" || key == "pipeline_parallel_size") {
    // A switch that is off is the server's default.
    if (value == false) return note(draft, key, text, "off: the server's default");
    as_flag(draft, key, value);
  } else {
    note(draft, key, text, "unknown", true);
  }
}

}  // namespace

Draft import_env(std::string_view text, const std::string& origin) {
  Draft draft = begin(origin);
  const EnvFile file = parse_env(text, origin);
  for (size_t i = 0; i < file.entries.size(); ++i) {
    const EnvEntry& entry = file.entries[i];
    Note from{draft.origin + ":" + std::to_string(entry.line), entry.key, entry.value,
              entry.problem, false};
    for (size_t later = i + 1; later < file.entries.size() && from.reason.empty(); ++later) {
      if (file.entries[later].key == entry.key) from.reason = "set again below";
    }
    if (from.reason.empty()) {
      take_key(draft, from);
    } else {
      draft.notes.push_back(std::move(from));
    }
  }
  for (const auto& [line, other] : file.others) {
    draft.notes.push_back({draft.origin + ":" + std::to_string(line), "", other,
                           "no KEY=value, and nothing is run here", true});
  }
  end(draft);
  return draft;
}

Draft import_recipe(std::string_view text, const std::string& origin) {
  Draft draft = begin(origin);
  const ordered_json recipe =
      bounded_json(text) ? ordered_json::parse(text, nullptr, false) : ordered_json();
  if (!recipe.is_object()) {
    throw Error(
        ErrorCode::kProfile, origin + ": not a recipe",
        "A recipe is one JSON object of moderate depth: {\"id\": ..., \"model_path\": ...}.");
  }
  for (const auto& [key, value] : recipe.items()) take_recipe_key(draft, key, value);
  end(draft);
  return draft;
}

}  // namespace ds4::profiles

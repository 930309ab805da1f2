#include "profiles/exchange/keys.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "profiles/exchange/command.h"
#include "profiles/exchange/json_text.h"
#include "profiles/exchange/shell.h"

namespace ds4::profiles {
namespace {

using nlohmann::json;

enum class Home {
  kSetting,   // a key of [engine], as it stands
  kText,      // of [launch]
  kFlag,      // of [launch.flags]
  kSwitch,    // a flag without a value: 1 on, 0 off ("no-...")
  kLauncher,  // of [launch.launcher]
  kNone,      // `to` says why
  kModelDir,
  kKvDtype,
  kFloorKb,
  kFloorGib,
  kThinking,
  kDrafts,
  kTools,
  kReasoning,
  kExtra,
  kPrefixMode,
  kManaged,
  kPackedKv,
  kIndex,
};

struct EnvKey {
  const char* name;
  Home home;
  const char* to = "";
  bool exported = true;  // false: another key of the table says it
};

constexpr const char* kParser = "deepseek_v4";
constexpr const char* kTemplate = "default-chat-template-kwargs";

// The keys of 0xSero/deepseek-spark, then those of other harnesses that have a counterpart.
constexpr EnvKey kKeys[] = {
    {"MODEL_REPO", Home::kText, "model"},
    {"MODEL_REPO_LEGACY", Home::kLauncher},
    {"MODEL_REVISION", Home::kText, "revision"},
    {"MODEL_DIR", Home::kModelDir},
    {"SERVED_MODEL_NAME", Home::kFlag, "served-model-name"},
    {"CONTEXT_LENGTH", Home::kSetting, "engine.context_length"},
    {"KV_CACHE_MEMORY_BYTES", Home::kFlag, "kv-cache-memory-bytes"},
    {"KV_CACHE_DTYPE", Home::kKvDtype, "kv-cache-dtype"},
    {"MAX_NUM_BATCHED_TOKENS", Home::kSetting, "engine.prefill_chunk"},
    {"MAX_NUM_SEQS", Home::kSetting, "engine.sequences"},
    {"GPU_MEMORY_UTILIZATION", Home::kFlag, "gpu-memory-utilization"},
    {"WATCHDOG_MIN_AVAILABLE_KB", Home::kFloorKb},
    {"THINKING", Home::kThinking},
    {"SPECULATIVE_CONFIG", Home::kDrafts, "speculative-config"},
    {"PORT", Home::kFlag, "port"},
    {"HOST", Home::kFlag, "host"},
    {"NAME", Home::kText, "container"},
    {"IMAGE", Home::kText, "image"},
    {"MOE_BACKEND", Home::kFlag, "moe-backend"},
    {"ATTENTION_CONFIG", Home::kFlag, "attention-config"},
    {"ENABLE_PREFIX_CACHING", Home::kSwitch, "enable-prefix-caching"},
    {"ENFORCE_EAGER", Home::kSwitch, "enforce-eager"},
    {"ENABLE_TOOLS", Home::kTools},
    {"ENABLE_REASONING", Home::kReasoning},
    {"EXTRA_ARGS", Home::kExtra},
    {"SPARK_ROOT", Home::kLauncher},
    {"WATCHDOG_LOG", Home::kLauncher},
    {"PATCHER", Home::kLauncher},
    {"K160_DISABLE_CUTEDSL", Home::kLauncher},
    {"CUTEDSL_VERSION", Home::kLauncher},
    {"SERVED_MODEL_NAME_OVERRIDE", Home::kNone, "a caller's override; use --set"},
    {"THINKING_OVERRIDE", Home::kNone, "a caller's override; use --set"},
    {"SERVE_MAX_MODEL_LEN", Home::kSetting, "engine.context_length", false},
    {"SERVE_PREFIX_CACHE_MODE", Home::kPrefixMode, "enable-prefix-caching", false},
    {"SERVE_USE_FP4_INDEXER_CACHE", Home::kIndex, "", false},
    {"B200_BLOCK_SIZE", Home::kFlag, "block-size", false},
    {"CTX", Home::kSetting, "engine.context_length", false},
    {"DSV4_MEM_FLOOR_GIB", Home::kFloorGib, "", false},
    {"DSV4_MIN_ROOT_FREE_GIB", Home::kNone, "about the disk, which no profile is"},
    {"DS4_CUDA_MANAGED_MODEL", Home::kManaged, "", false},
    {"DS4_KV_TURBO", Home::kPackedKv, "", false},
    {"DS4_CUDA_DECODE_GRAPH", Home::kNone, "this engine always decodes with graphs"},
    {"CUDA_ARCH_LIST", Home::kNone, "about the build of another engine"},
    {"TORCH_CUDA_ARCH_LIST", Home::kNone, "about the build of another engine"},
    {"LONG_CONTEXT_LINE_COUNT", Home::kNone, "sizes a prompt of another harness; see [[suite]]"},
};

// Beginnings of names that servers and their libraries read from the environment.
constexpr const char* kEnvironment[] = {
    "VLLM_",       "SGLANG_",   "PYTORCH_", "TORCH_", "CUDA_", "NCCL_", "OMP_", "TRITON_",
    "FLASHINFER_", "TILELANG_", "DG_",      "HF_",    "GLOO_", "RAY_",  "UCX_", "TVM_"};

bool is_secret(const std::string& key) {
  for (const std::string_view word : {"TOKEN", "API_KEY", "SECRET", "PASSWORD"}) {
    const size_t at = key.find(word);
    if (at == std::string::npos) continue;
    const std::string_view rest = std::string_view(key).substr(at + word.size());
    // TOKENS are counted, TOKENIZERs named.
    if (!rest.starts_with("S") && !rest.starts_with("IZER")) return true;
  }
  return false;
}

void refuse(Draft& draft, const Note& from, const std::string& reason, bool unknown = false) {
  Note note = from;
  note.reason = reason;
  note.unknown = unknown;
  draft.notes.push_back(std::move(note));
}

// 1 on, 0 off, -1 neither.
int switched(const std::string& value) {
  for (const char* on : {"1", "true", "enabled", "yes", "on"}) {
    if (value == on) return 1;
  }
  for (const char* off : {"0", "false", "disabled", "no", "off"}) {
    if (value == off) return 0;
  }
  return -1;
}

bool is_count(const std::string& text) {
  return !text.empty() && text.size() < 19 && (text[0] != '0' || text.size() == 1) &&
         text.find_first_not_of("0123456789") == std::string::npos;
}

void set_pair(LaunchPairs& pairs, const std::string& key, const std::string& value) {
  for (auto& pair : pairs) {
    if (pair.first != key) continue;
    pair.second = value;
    return;
  }
  pairs.emplace_back(key, value);
}

std::string* text_of(LaunchSection& launch, const std::string& member) {
  if (member == "model") return &launch.model;
  if (member == "revision") return &launch.revision;
  return member == "image" ? &launch.image : &launch.container;
}

void take_floor(Draft& draft, const Note& from, int shift, const char* unit) {
  int64_t n = 0;
  const char* end = from.value.data() + from.value.size();
  const auto [stop, error] = std::from_chars(from.value.data(), end, n);
  if (error != std::errc() || stop != end || n < 0 || n > (int64_t{1} << 62 >> shift)) {
    return refuse(draft, from, std::string("not a number of ") + unit);
  }
  const int64_t bytes = n << shift;
  constexpr int64_t kGiB = int64_t{1} << 30;
  draft.set("limits.memory_floor",
            bytes > 0 && bytes % kGiB == 0 ? toml_string(std::to_string(bytes / kGiB) + "GiB")
                                           : std::to_string(bytes),
            from);
}

void take_thinking(Draft& draft, const Note& from) {
  const int on = switched(from.value);
  if (on < 0) return refuse(draft, from, "neither true nor false");
  draft.thinking = on == 1;
  json kwargs = json::object();
  for (const LaunchFlag& flag : draft.launch.flags) {
    if (flag.name == kTemplate && bounded_json(flag.value)) {
      kwargs = json::parse(flag.value, nullptr, false);
    }
  }
  if (!kwargs.is_object()) kwargs = json::object();
  kwargs["thinking"] = on == 1;
  draft.flag({kTemplate, kwargs.dump()});
}

void take_drafts(Draft& draft, const Note& from) {
  if (from.value.empty()) return draft.set("engine.draft_tokens", "0", from);
  const int64_t tokens = drafts_of(from.value);
  if (tokens <= 0) return refuse(draft, from, "does not say how many tokens it drafts");
  const size_t notes = draft.notes.size();
  draft.set("engine.draft_tokens", std::to_string(tokens), from);
  if (draft.notes.size() == notes) draft.flag({"speculative-config", from.value});
}

void take_kv_dtype(Draft& draft, const Note& from) {
  const std::string& value = from.value;
  const bool fp8 = value.starts_with("fp8");
  if (fp8 || value == "bf16" || value == "bfloat16") {
    draft.set("engine.kv_dtype", fp8 ? "\"fp8\"" : "\"bf16\"", from);
  }
  // What the server's own name for our format does not say stays a flag.
  if (value != "fp8" && value != "bfloat16") draft.flag({"kv-cache-dtype", value});
}

void take_switch(Draft& draft, const Note& from, const std::string& flag) {
  const int on = switched(from.value);
  if (on < 0) return refuse(draft, from, "neither 0 nor 1");
  std::erase_if(draft.launch.flags,
                [&](const LaunchFlag& f) { return f.name == flag || f.name == "no-" + flag; });
  draft.flag({on == 1 ? flag : "no-" + flag, "", true});
}

void take_extra(Draft& draft, const Note& from) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : from.value + " ") {
    if (c != ' ' && c != '\t') {
      word += c;
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  for (size_t i = 0; i < words.size(); ++i) {
    Note part = from;
    part.value = words[i];
    std::string name = words[i];
    if (!name.starts_with("--") || name.size() == 2) {
      refuse(draft, part, "no flag, and not the value of one");
      continue;
    }
    name.erase(0, 2);
    LaunchFlag flag{name, "", true};
    if (const size_t equals = name.find('='); equals != std::string::npos) {
      flag = {name.substr(0, equals), name.substr(equals + 1), false};
    } else if (i + 1 < words.size() && !words[i + 1].starts_with("--")) {
      flag = {name, words[++i], false};
    }
    take_flag(draft, flag, part);
  }
}

void take(Draft& draft, const EnvKey& key, const Note& from) {
  const int on = switched(from.value);
  switch (key.home) {
    case Home::kSetting:
      if (!is_count(from.value)) return refuse(draft, from, "not a whole number");
      return draft.set(key.to, from.value, from);
    case Home::kText:
      *text_of(draft.launch, key.to) = from.value;
      return;
    case Home::kFlag:
      if (from.value.empty()) return refuse(draft, from, "empty: the server's default");
      return draft.flag({key.to, from.value});
    case Home::kSwitch:
      return take_switch(draft, from, key.to);
    case Home::kLauncher:
      return set_pair(draft.launch.launcher, key.name, from.value);
    case Home::kNone:
      return refuse(draft, from, key.to);
    case Home::kModelDir:
      if (!from.value.empty()) draft.checkpoint = from.value;
      return set_pair(draft.launch.launcher, key.name, from.value);
    case Home::kKvDtype:
      return take_kv_dtype(draft, from);
    case Home::kFloorKb:
      return take_floor(draft, from, 10, "kB");
    case Home::kFloorGib:
      return take_floor(draft, from, 30, "GiB");
    case Home::kThinking:
      return take_thinking(draft, from);
    case Home::kDrafts:
      return take_drafts(draft, from);
    case Home::kTools:
    case Home::kReasoning:
      if (on != 1) return set_pair(draft.launch.launcher, key.name, from.value);
      if (key.home == Home::kTools) {
        draft.flag({"enable-auto-tool-choice", "", true});
        return draft.flag({"tool-call-parser", kParser});
      }
      return draft.flag({"reasoning-parser", kParser});
    case Home::kExtra:
      return take_extra(draft, from);
    case Home::kPrefixMode:
      if (on < 0) return refuse(draft, from, "the server's default");
      return take_switch(draft, from, key.to);
    case Home::kManaged:
      if (on != 1) return refuse(draft, from, "off: the default");
      return draft.set("engine.residency", "\"managed\"", from);
    case Home::kPackedKv:
      if (on < 0) return refuse(draft, from, "neither 0 nor 1");
      return draft.set("engine.kv_dtype", on == 1 ? "\"fp8\"" : "\"bf16\"", from);
    case Home::kIndex:
      if (on < 0) return refuse(draft, from, "the server's choice; ours is fp4");
      return draft.set("engine.index_dtype", on == 1 ? "\"fp4\"" : "\"bf16\"", from);
  }
}

std::string thinking_of(const LaunchSection& launch) {
  const LaunchFlag* flag = launch.flag(kTemplate);
  if (!flag || !bounded_json(flag->value)) return "";
  const json kwargs = json::parse(flag->value, nullptr, false);
  if (!kwargs.is_object() || !kwargs.contains("thinking")) return "";
  return kwargs.at("thinking") == true ? "true" : "false";
}

}  // namespace

void take_key(Draft& draft, const Note& from) {
  if (is_secret(from.key)) {
    Note note = from;
    note.value = "...";
    return refuse(draft, note, "a secret: kept out of profiles, which are stored with every run");
  }
  for (const EnvKey& key : kKeys) {
    if (from.key == key.name) return take(draft, key, from);
  }
  for (const char* beginning : kEnvironment) {
    if (from.key.starts_with(beginning)) return set_pair(draft.launch.env, from.key, from.value);
  }
  if (from.key.starts_with("RUN_") || from.key.find("_TIMEOUT") != std::string::npos) {
    return refuse(draft, from, "a phase of another harness; see [[suite]] and [limits]");
  }
  refuse(draft, from, "unknown", true);
}

void take_flag(Draft& draft, const LaunchFlag& flag, const Note& from) {
  Note note = from;
  note.value = flag.value;
  for (const EnvKey& key : kKeys) {
    const bool ours = key.home == Home::kKvDtype || key.home == Home::kDrafts;
    if (ours && flag.name == key.to) return take(draft, key, note);
  }
  const std::pair<const char*, const char*> settings[] = {
      {"max-model-len", "engine.context_length"},
      {"max-num-batched-tokens", "engine.prefill_chunk"},
      {"max-num-seqs", "engine.sequences"}};
  for (const auto& [name, key] : settings) {
    // A value that this engine cannot have stays the other server's.
    if (flag.name == name && is_count(flag.value) && setting_problem(key, flag.value).empty()) {
      return draft.set(key, flag.value, note);
    }
  }
  const bool named =
      !flag.name.empty() && std::all_of(flag.name.begin(), flag.name.end(), [](const char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
      });
  if (!named || flag.name[0] == '-' || flag.name.size() > 128) {
    return refuse(draft, from, "no name of a flag");
  }
  draft.flag(flag);
}

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
  for (const EnvKey& key : kKeys) {
    if (!key.exported) continue;
    const std::string to = key.to;
    if (key.home == Home::kText) {
      add(key.name, *text_of(const_cast<LaunchSection&>(launch), to));
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

int experts_in(const std::string& name) {
  for (size_t i = 0; i + 1 < name.size(); ++i) {
    const bool start = i == 0 || !((name[i - 1] >= 'a' && name[i - 1] <= 'z') ||
                                   (name[i - 1] >= 'A' && name[i - 1] <= 'Z') ||
                                   (name[i - 1] >= '0' && name[i - 1] <= '9'));
    if (!start || (name[i] != 'K' && name[i] != 'k')) continue;
    int experts = 0;
    const char* end = name.data() + name.size();
    const auto [stop, error] = std::from_chars(name.data() + i + 1, end, experts);
    if (error == std::errc() && stop - (name.data() + i + 1) >= 2 && experts >= 16 &&
        experts <= 256) {
      return experts;
    }
  }
  return 0;
}

}  // namespace ds4::profiles

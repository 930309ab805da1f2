#include "profiles/exchange/keys.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "profiles/exchange/command.h"
#include "profiles/exchange/json_text.h"
#include "profiles/exchange/key_table.h"

namespace ds4::profiles {
namespace {

using nlohmann::json;

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

}  // namespace

void take_key(Draft& draft, const Note& from) {
  if (is_secret(from.key)) {
    Note note = from;
    note.value = "...";
    return refuse(draft, note, "a secret: kept out of profiles, which are stored with every run");
  }
  for (const EnvKey& key : env_key_table()) {
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
  for (const EnvKey& key : env_key_table()) {
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

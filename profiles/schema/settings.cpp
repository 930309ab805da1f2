#include "profiles/schema/settings.h"

#include <array>
#include <limits>
#include <sstream>

#include "engine/base/check.h"
#include "engine/base/checkpoint_name.h"
#include "engine/base/error.h"
#include "profiles/schema/guard_section.h"
#include "profiles/schema/launch_read.h"
#include "profiles/schema/nearest.h"
#include "profiles/schema/parameter_value.h"
#include "profiles/schema/server_section.h"
#include "profiles/schema/setting_key.h"

namespace ds4::profiles {
namespace {

// Twice the longest context of the model family; what a checkpoint allows is checked by the engine.
constexpr int64_t kMaxContext = int64_t{1} << 21;
constexpr int64_t kMaxChunk = int64_t{1} << 16;
constexpr int64_t kMaxThreads = 4096;
constexpr int64_t kMaxSequences = 64;
constexpr int64_t kMaxDrafts = 5;  // what a checkpoint can draft is checked when it is opened

constexpr int64_t kMaxTopK = int64_t{1} << 30;
constexpr double kLargest = 1e6;  // of numbers that any magnitude makes sense for

using EngineKey = Key<EngineSection>;
using SamplingKey = Key<suites::Sampling>;
using LimitsKey = Key<Profile>;

template <size_t N>
std::string choice(const toml::node& node, const TomlSource& source, const char* key,
                   const std::array<std::string, N>& valid) {
  return source.one_of(node, key, valid);
}

const std::array<EngineKey, 10> kEngineKeys{{
    {"device",
     [](EngineSection& engine, const toml::node& node, const TomlSource& source) {
       engine.device = choice<2>(node, source, "engine.device", {"cpu", "cuda"});
     },
     [](const EngineSection& engine) { return toml_text(engine.device); }},
    {"kv_dtype",
     [](EngineSection& engine, const toml::node& node, const TomlSource& source) {
       engine.kv_dtype = choice<2>(node, source, "engine.kv_dtype", {"fp8", "bf16"});
     },
     [](const EngineSection& engine) { return toml_text(engine.kv_dtype); }},
    {"index_dtype",
     [](EngineSection& engine, const toml::node& node, const TomlSource& source) {
       engine.index_dtype = choice<2>(node, source, "engine.index_dtype", {"fp4", "bf16"});
     },
     [](const EngineSection& engine) { return toml_text(engine.index_dtype); }},
    {"residency",
     [](EngineSection& engine, const toml::node& node, const TomlSource& source) {
       engine.residency =
           choice<3>(node, source, "engine.residency", {"device", "managed", "mapped"});
     },
     [](const EngineSection& engine) { return toml_text(engine.residency); }},
    {"context_length",
     [](EngineSection& engine, const toml::node& node, const TomlSource& source) {
       engine.context_length = source.integer(node, "engine.context_length", 1, kMaxContext);
     },
     [](const EngineSection& engine) { return toml_text(engine.context_length); }},
    {"prefill_chunk",
     [](EngineSection& engine, const toml::node& node, const TomlSource& source) {
       engine.prefill_chunk = source.integer(node, "engine.prefill_chunk", 1, kMaxChunk);
     },
     [](const EngineSection& engine) { return toml_text(engine.prefill_chunk); }},
    {"draft_tokens",
     [](EngineSection& engine, const toml::node& node, const TomlSource& source) {
       engine.draft_tokens = source.integer(node, "engine.draft_tokens", 0, kMaxDrafts);
     },
     [](const EngineSection& engine) { return toml_text(engine.draft_tokens); }},
    {"sequences",
     [](EngineSection& engine, const toml::node& node, const TomlSource& source) {
       engine.sequences = source.integer(node, "engine.sequences", 1, kMaxSequences);
     },
     [](const EngineSection& engine) { return toml_text(engine.sequences); }},
    {"threads",
     [](EngineSection& engine, const toml::node& node, const TomlSource& source) {
       engine.threads = source.integer(node, "engine.threads", 0, kMaxThreads);
     },
     [](const EngineSection& engine) { return toml_text(engine.threads); }},
    {"seed",
     [](EngineSection& engine, const toml::node& node, const TomlSource& source) {
       engine.seed = static_cast<uint64_t>(
           source.integer(node, "engine.seed", 0, std::numeric_limits<int64_t>::max()));
     },
     [](const EngineSection& engine) { return toml_text(engine.seed); }},
}};

// A number in [low, high], or in (low, high] with `low_excluded`.
double number_in(const toml::node& node, const TomlSource& source, const char* key, double low,
                 double high, bool low_excluded = false) {
  const double value = source.number(node, key);
  if (value > high || value < low || (low_excluded && value == low)) {
    std::ostringstream text;
    text << "`" << key << "` is " << value << "; it must be " << (low_excluded ? "above " : "from ")
         << low << (low_excluded ? " and at most " : " to ") << high;
    source.fail(node, text.str());
  }
  return value;
}

const std::array<SamplingKey, 8> kSamplingKeys{{
    {"temperature",
     [](suites::Sampling& s, const toml::node& node, const TomlSource& source) {
       s.temperature = number_in(node, source, "sampling.temperature", 0, kLargest);
     },
     [](const suites::Sampling& s) { return toml_text(s.temperature); }},
    {"top_k",
     [](suites::Sampling& s, const toml::node& node, const TomlSource& source) {
       s.top_k = source.integer(node, "sampling.top_k", 0, kMaxTopK);
     },
     [](const suites::Sampling& s) { return toml_text(s.top_k); }},
    {"min_p",
     [](suites::Sampling& s, const toml::node& node, const TomlSource& source) {
       s.min_p = number_in(node, source, "sampling.min_p", 0, 1);
     },
     [](const suites::Sampling& s) { return toml_text(s.min_p); }},
    {"top_p",
     [](suites::Sampling& s, const toml::node& node, const TomlSource& source) {
       s.top_p = number_in(node, source, "sampling.top_p", 0, 1, true);
     },
     [](const suites::Sampling& s) { return toml_text(s.top_p); }},
    {"repetition_penalty",
     [](suites::Sampling& s, const toml::node& node, const TomlSource& source) {
       s.repetition_penalty =
           number_in(node, source, "sampling.repetition_penalty", 0, kLargest, true);
     },
     [](const suites::Sampling& s) { return toml_text(s.repetition_penalty); }},
    {"presence_penalty",
     [](suites::Sampling& s, const toml::node& node, const TomlSource& source) {
       s.presence_penalty =
           number_in(node, source, "sampling.presence_penalty", -kLargest, kLargest);
     },
     [](const suites::Sampling& s) { return toml_text(s.presence_penalty); }},
    {"frequency_penalty",
     [](suites::Sampling& s, const toml::node& node, const TomlSource& source) {
       s.frequency_penalty =
           number_in(node, source, "sampling.frequency_penalty", -kLargest, kLargest);
     },
     [](const suites::Sampling& s) { return toml_text(s.frequency_penalty); }},
    {"stop",
     [](suites::Sampling& s, const toml::node& node, const TomlSource& source) {
       s.stop.clear();
       for (const toml::node& text : source.array(node, "sampling.stop")) {
         s.stop.push_back(source.string(text, "sampling.stop"));
         if (s.stop.back().empty()) source.fail(text, "`sampling.stop` holds an empty text");
       }
     },
     [](const suites::Sampling& s) { return toml_text(s.stop); }},
}};

const std::array<LimitsKey, 3> kLimitsKeys{{
    {"cell_timeout",
     [](Profile& profile, const toml::node& node, const TomlSource& source) {
       profile.cell_timeout_s = source.seconds(node, "limits.cell_timeout");
     },
     [](const Profile& profile) { return toml_text(profile.cell_timeout_s); }},
    {"case_timeout",
     [](Profile& profile, const toml::node& node, const TomlSource& source) {
       profile.case_timeout_s = source.seconds(node, "limits.case_timeout");
     },
     [](const Profile& profile) { return toml_text(profile.case_timeout_s); }},
    {"memory_floor",
     [](Profile& profile, const toml::node& node, const TomlSource& source) {
       profile.memory_floor = source.bytes(node, "limits.memory_floor");
     },
     [](const Profile& profile) { return toml_text(profile.memory_floor.value_or(0)); }},
}};

// Keys outside any section.
const std::array<Key<Profile>, 4> kTopKeys{{
    {"checkpoint",
     [](Profile& profile, const toml::node& node, const TomlSource& source) {
       profile.checkpoint = path_setting(profile, "checkpoint", node, source);
     },
     [](const Profile& profile) { return toml_text(profile.checkpoint.string()); }},
    {"target",
     [](Profile& profile, const toml::node& node, const TomlSource& source) {
       profile.target = choice<6>(node, source, "target",
                                  {"engine", "http", "managed", "null", "replay", "scripted"});
     },
     [](const Profile& profile) { return toml_text(profile.target); }},
    {"script",
     [](Profile& profile, const toml::node& node, const TomlSource& source) {
       profile.script = path_setting(profile, "script", node, source).string();
     },
     [](const Profile& profile) { return toml_text(profile.script); }},
    {"recording",
     [](Profile& profile, const toml::node& node, const TomlSource& source) {
       profile.recording = path_setting(profile, "recording", node, source).string();
     },
     [](const Profile& profile) { return toml_text(profile.recording); }},
}};

constexpr std::string_view kEnginePrefix = "engine.";
constexpr std::string_view kSamplingPrefix = "sampling.";
constexpr std::string_view kLimitsPrefix = "limits.";
constexpr std::string_view kGuardPrefix = "guard.";
constexpr std::string_view kServerPrefix = "server.";
constexpr std::string_view kNoPrefix = "";

// What a profile says and no cell of a sweep can differ in: a key, or a whole section.
struct FixedKey {
  const char* key;
  const char* why;
};
constexpr FixedKey kFixedKeys[] = {
    {"name", "it is what the run is called"},
    {"description", "it is a sentence for readers"},
    {"suite", "all cells run the same suites; vary their parameters, such as needle.lengths"},
    {"gate", "gates judge what was measured; write a [[gate]] for each bound"},
    {"sweep", "it says what happens between the cells"},
    {"launch", "it is one server's; vary what [engine] says of it, or write a profile for each"},
    {"guard.target", "it is one process of this machine, which the whole run is about"},
};

// Calls what(key of the table, its section) for `key` if a section has it; `P` is Profile, const or
// not.
template <typename P, typename What>
bool with_section_key(P& profile, const std::string& key, const What& what) {
  const auto in = [&](const auto& keys, std::string_view prefix, auto& section) {
    if (!key.starts_with(prefix)) return false;
    for (const auto& known : keys) {
      if (std::string_view(key).substr(prefix.size()) != known.name) continue;
      what(known, section);
      return true;
    }
    return false;
  };
  return in(kEngineKeys, kEnginePrefix, profile.engine) ||
         in(kSamplingKeys, kSamplingPrefix, profile.sampling) ||
         in(kLimitsKeys, kLimitsPrefix, profile) ||
         in(guard_table(), kGuardPrefix, profile.guard) ||
         in(server_table(), kServerPrefix, profile.server) || in(kTopKeys, kNoPrefix, profile);
}

template <typename Keys>
std::vector<std::string> names_of(const Keys& keys, std::string_view prefix = {}) {
  std::vector<std::string> names;
  for (const auto& key : keys) names.push_back(std::string(prefix) + key.name);
  return names;
}

}  // namespace

std::filesystem::path path_setting(const Profile& profile, const char* key, const toml::node& value,
                                   const TomlSource& source) {
  const std::filesystem::path given = source.string(value, key);
  if (given.empty()) source.fail(value, std::string("`") + key + "` is empty");
  if (is_synthetic_name(given.string())) return given;
  const bool from_set = value.source().begin.line == 0;
  const auto base = from_set ? std::filesystem::path() : profile.path.parent_path();
  const auto path = std::filesystem::absolute(base / given).lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

std::string checkpoint_name(const Profile& profile) {
  return profile.checkpoint.filename().string();
}

bool names_cells_when_swept(std::string_view key) {
  // Where a server is and how long one waits for it decide nothing either.
  const bool of_server =
      key.starts_with(kServerPrefix) &&
      (key.ends_with("_timeout") || key == "server.url" || key == "server.api_key_env");
  return of_server || key.starts_with(kLimitsPrefix) || key.starts_with(kGuardPrefix);
}

std::string why_fixed(const std::string& key) {
  for (const FixedKey& fixed : kFixedKeys) {
    if (key == fixed.key || key.starts_with(std::string(fixed.key) + ".")) return fixed.why;
  }
  return "";
}

std::vector<std::string> engine_keys() {
  return names_of(kEngineKeys);
}

std::vector<std::string> sampling_keys() {
  return names_of(kSamplingKeys);
}

std::vector<std::string> limits_keys() {
  return names_of(kLimitsKeys);
}

std::vector<std::string> guard_keys() {
  return names_of(guard_table());
}

std::vector<std::string> server_keys() {
  return names_of(server_table());
}

std::vector<std::string> setting_keys(const Profile& profile) {
  std::vector<std::string> keys = names_of(kTopKeys);
  for (const auto& section :
       {names_of(kEngineKeys, kEnginePrefix), names_of(kSamplingKeys, kSamplingPrefix),
        names_of(kLimitsKeys, kLimitsPrefix), names_of(guard_table(), kGuardPrefix),
        names_of(server_table(), kServerPrefix)}) {
    keys.insert(keys.end(), section.begin(), section.end());
  }
  std::erase_if(keys, [](const std::string& key) { return !why_fixed(key).empty(); });
  for (const SuiteSection& suite : profile.suites) {
    for (const auto& [name, value] : suite.parameters) keys.push_back(suite.name + "." + name);
  }
  return keys;
}

void apply_setting(Profile& profile, const std::string& key, const toml::node& value,
                   const TomlSource& source) {
  if (with_section_key(profile, key, [&](const auto& known, auto& section) {
        known.set(section, value, source);
      })) {
    return;
  }
  for (SuiteSection& suite : profile.suites) {
    if (!key.starts_with(suite.name + ".")) continue;
    const auto found = suite.parameters.find(key.substr(suite.name.size() + 1));
    if (found == suite.parameters.end()) continue;
    found->second = value_like(source, value, key, found->second);
    return;
  }
  const std::vector<std::string> valid = setting_keys(profile);
  source.fail(value, "unknown key `" + key + "`",
              "The nearest valid key is `" + nearest(key, valid) + "`.");
}

void require_complete(const Profile& profile) {
  const auto require = [&](const char* target, const char* key, bool missing) {
    if (profile.target != target || !missing) return;
    throw Error(ErrorCode::kProfile,
                profile.path.string() + ": the target `" + target + "` needs the key `" + key + "`",
                std::string("Add ") + key + " = \"PATH\", relative to the profile's folder.");
  };
  require("engine", "checkpoint", profile.checkpoint.empty());
  require("scripted", "script", profile.script.empty());
  require("replay", "recording", profile.recording.empty());
  if (profile.target == "http" && profile.server.url.empty()) {
    throw Error(ErrorCode::kProfile,
                profile.path.string() + ": the target `http` needs the key `server.url`",
                "Add [server] with url = \"http://HOST:PORT/v1\".");
  }
  if (profile.target != "managed") return;
  const LaunchSection& launch = profile.launch;
  const auto refuse = [&](const std::string& what, const std::string& hint) {
    throw Error(ErrorCode::kProfile, profile.path.string() + ": the target `managed` " + what,
                hint);
  };
  if (launch.server.empty()) {
    refuse("needs the section [launch]",
           "Add [launch] with a server and what it loads, such as model = \"OWNER/NAME\". " +
               server_hint());
  }
  if (launch.command.empty() && launch.server != "vllm" && launch.server != "sglang") {
    refuse("needs the key `launch.command` for the server `" + launch.server + "`",
           "Write its words, such as command = [\"llama-server\", \"--port\", \"{port}\"].");
  }
  for (const std::string& word : launch.command) {
    for (const std::string& name : placeholders_of(word)) {
      if (name == "served_model" && profile.server.model.empty()) {
        refuse("needs the key `server.model` for `{served_model}` in launch.command",
               "Add [server] with model = \"NAME\".");
      }
      if (name == "checkpoint" && profile.checkpoint.empty()) {
        refuse("needs the key `checkpoint` for `{checkpoint}` in launch.command",
               "Add checkpoint = \"PATH\", relative to the profile's folder.");
      }
    }
  }
}

std::string setting_text(const Profile& profile, const std::string& key) {
  std::string text;
  if (with_section_key(profile, key, [&](const auto& known, const auto& section) {
        text = known.get(section);
      })) {
    return text;
  }
  for (const SuiteSection& suite : profile.suites) {
    if (!key.starts_with(suite.name + ".")) continue;
    const auto found = suite.parameters.find(key.substr(suite.name.size() + 1));
    if (found == suite.parameters.end()) continue;
    return std::visit([](const auto& value) { return toml_text(value); }, found->second);
  }
  DS4_CHECK(!"a key of setting_keys()");
  return text;
}

}  // namespace ds4::profiles

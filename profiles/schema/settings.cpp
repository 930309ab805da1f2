#include "profiles/schema/settings.h"

#include <array>
#include <limits>
#include <sstream>

#include "engine/base/checkpoint_name.h"
#include "profiles/schema/nearest.h"
#include "profiles/schema/parameter_value.h"

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

struct EngineKey {
  const char* name;
  void (*set)(EngineSection&, const toml::node&, const TomlSource&);
};
struct SamplingKey {
  const char* name;
  void (*set)(suites::Sampling&, const toml::node&, const TomlSource&);
};

template <size_t N>
std::string choice(const toml::node& node, const TomlSource& source, const char* key,
                   const std::array<std::string, N>& valid) {
  return source.one_of(node, key, valid);
}

const std::array<EngineKey, 10> kEngineKeys{{
    {"device",
     [](EngineSection& engine, const toml::node& node, const TomlSource& source) {
       engine.device = choice<2>(node, source, "engine.device", {"cpu", "cuda"});
     }},
    {"kv_dtype",
     [](EngineSection& engine, const toml::node& node, const TomlSource& source) {
       engine.kv_dtype = choice<2>(node, source, "engine.kv_dtype", {"fp8", "bf16"});
     }},
    {"index_dtype",
     [](EngineSection& engine, const toml::node& node, const TomlSource& source) {
       engine.index_dtype = choice<2>(node, source, "engine.index_dtype", {"fp4", "bf16"});
     }},
    {"residency",
     [](EngineSection& engine, const toml::node& node, const TomlSource& source) {
       engine.residency = choice<2>(node, source, "engine.residency", {"device", "managed"});
     }},
    {"context_length",
     [](EngineSection& engine, const toml::node& node, const TomlSource& source) {
       engine.context_length = source.integer(node, "engine.context_length", 1, kMaxContext);
     }},
    {"prefill_chunk",
     [](EngineSection& engine, const toml::node& node, const TomlSource& source) {
       engine.prefill_chunk = source.integer(node, "engine.prefill_chunk", 1, kMaxChunk);
     }},
    {"draft_tokens",
     [](EngineSection& engine, const toml::node& node, const TomlSource& source) {
       engine.draft_tokens = source.integer(node, "engine.draft_tokens", 0, kMaxDrafts);
     }},
    {"sequences",
     [](EngineSection& engine, const toml::node& node, const TomlSource& source) {
       engine.sequences = source.integer(node, "engine.sequences", 1, kMaxSequences);
     }},
    {"threads",
     [](EngineSection& engine, const toml::node& node, const TomlSource& source) {
       engine.threads = source.integer(node, "engine.threads", 0, kMaxThreads);
     }},
    {"seed",
     [](EngineSection& engine, const toml::node& node, const TomlSource& source) {
       engine.seed = static_cast<uint64_t>(
           source.integer(node, "engine.seed", 0, std::numeric_limits<int64_t>::max()));
     }},
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
     }},
    {"top_k",
     [](suites::Sampling& s, const toml::node& node, const TomlSource& source) {
       s.top_k = source.integer(node, "sampling.top_k", 0, kMaxTopK);
     }},
    {"min_p",
     [](suites::Sampling& s, const toml::node& node, const TomlSource& source) {
       s.min_p = number_in(node, source, "sampling.min_p", 0, 1);
     }},
    {"top_p",
     [](suites::Sampling& s, const toml::node& node, const TomlSource& source) {
       s.top_p = number_in(node, source, "sampling.top_p", 0, 1, true);
     }},
    {"repetition_penalty",
     [](suites::Sampling& s, const toml::node& node, const TomlSource& source) {
       s.repetition_penalty =
           number_in(node, source, "sampling.repetition_penalty", 0, kLargest, true);
     }},
    {"presence_penalty",
     [](suites::Sampling& s, const toml::node& node, const TomlSource& source) {
       s.presence_penalty =
           number_in(node, source, "sampling.presence_penalty", -kLargest, kLargest);
     }},
    {"frequency_penalty",
     [](suites::Sampling& s, const toml::node& node, const TomlSource& source) {
       s.frequency_penalty =
           number_in(node, source, "sampling.frequency_penalty", -kLargest, kLargest);
     }},
    {"stop",
     [](suites::Sampling& s, const toml::node& node, const TomlSource& source) {
       s.stop.clear();
       for (const toml::node& text : source.array(node, "sampling.stop")) {
         s.stop.push_back(source.string(text, "sampling.stop"));
         if (s.stop.back().empty()) source.fail(text, "`sampling.stop` holds an empty text");
       }
     }},
}};

constexpr std::string_view kEnginePrefix = "engine.";
constexpr std::string_view kCheckpointKey = "checkpoint";
constexpr std::string_view kSamplingPrefix = "sampling.";

// Sets `key` (with its prefix) in `section` if it is one of `keys`.
template <typename Keys, typename Section>
bool set_in_section(const Keys& keys, std::string_view prefix, const std::string& key,
                    const toml::node& value, const TomlSource& source, Section& section) {
  if (!key.starts_with(prefix)) return false;
  for (const auto& known : keys) {
    if (std::string_view(key).substr(prefix.size()) != known.name) continue;
    known.set(section, value, source);
    return true;
  }
  return false;
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

std::vector<std::string> engine_keys() {
  std::vector<std::string> keys;
  for (const EngineKey& key : kEngineKeys) keys.emplace_back(key.name);
  return keys;
}

std::vector<std::string> sampling_keys() {
  std::vector<std::string> keys;
  for (const SamplingKey& key : kSamplingKeys) keys.emplace_back(key.name);
  return keys;
}

std::vector<std::string> setting_keys(const Profile& profile) {
  std::vector<std::string> keys;
  for (const std::string& key : engine_keys()) keys.push_back(std::string(kEnginePrefix) + key);
  for (const std::string& key : sampling_keys()) keys.push_back(std::string(kSamplingPrefix) + key);
  keys.emplace_back(kCheckpointKey);
  for (const SuiteSection& suite : profile.suites) {
    for (const auto& [name, value] : suite.parameters) keys.push_back(suite.name + "." + name);
  }
  return keys;
}

void apply_setting(Profile& profile, const std::string& key, const toml::node& value,
                   const TomlSource& source) {
  if (key == kCheckpointKey) {
    profile.checkpoint = path_setting(profile, "checkpoint", value, source);
    return;
  }
  if (set_in_section(kEngineKeys, kEnginePrefix, key, value, source, profile.engine) ||
      set_in_section(kSamplingKeys, kSamplingPrefix, key, value, source, profile.sampling)) {
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

}  // namespace ds4::profiles

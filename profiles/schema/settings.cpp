#include "profiles/schema/settings.h"

#include <array>
#include <limits>

#include "profiles/schema/nearest.h"
#include "profiles/schema/parameter_value.h"

namespace ds4::profiles {
namespace {

// Twice the longest context of the model family; what a checkpoint allows is checked by the engine.
constexpr int64_t kMaxContext = int64_t{1} << 21;
constexpr int64_t kMaxChunk = int64_t{1} << 16;
constexpr int64_t kMaxThreads = 4096;
constexpr int64_t kMaxDrafts = 5;  // what a checkpoint can draft is checked when it is opened

struct EngineKey {
  const char* name;
  void (*set)(EngineSection&, const toml::node&, const TomlSource&);
};

template <size_t N>
std::string choice(const toml::node& node, const TomlSource& source, const char* key,
                   const std::array<std::string, N>& valid) {
  return source.one_of(node, key, valid);
}

const std::array<EngineKey, 8> kEngineKeys{{
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

constexpr std::string_view kEnginePrefix = "engine.";

}  // namespace

std::vector<std::string> engine_keys() {
  std::vector<std::string> keys;
  for (const EngineKey& key : kEngineKeys) keys.emplace_back(key.name);
  return keys;
}

std::vector<std::string> setting_keys(const Profile& profile) {
  std::vector<std::string> keys;
  for (const std::string& key : engine_keys()) keys.push_back(std::string(kEnginePrefix) + key);
  for (const SuiteSection& suite : profile.suites) {
    for (const auto& [name, value] : suite.parameters) keys.push_back(suite.name + "." + name);
  }
  return keys;
}

void apply_setting(Profile& profile, const std::string& key, const toml::node& value,
                   const TomlSource& source) {
  if (key.starts_with(kEnginePrefix)) {
    for (const EngineKey& known : kEngineKeys) {
      if (key.substr(kEnginePrefix.size()) == known.name) {
        known.set(profile.engine, value, source);
        return;
      }
    }
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

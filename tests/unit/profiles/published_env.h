// The published .env profiles of 0xSero/deepseek-spark as facts: key by key, as suites of ours are
// held against them.
#pragma once

#include <string>
#include <vector>

namespace ds4::profiles {

struct PublishedEnv {
  const char* name;
  const char* context;
  const char* kv;
  const char* chunk;
  const char* utilization;
  const char* floor_kb;
  bool drafts;
};

inline constexpr PublishedEnv kPublishedEnv[] = {
    {"k160-mtp2-200k", "200000", "6G", "4096", "0.88", "6291456", true},
    {"k144-nospec-200k", "200000", "14G", "8192", "0.88", "8388608", false},
    {"k160-nospec-200k", "200000", "8G", "4096", "0.88", "6291456", false},
    {"k160-longreal", "200000", "14G", "2048", "0.90", "6291456", false},
    {"k160-longctx", "16384", "6G", "1024", "0.86", "6291456", false},
    {"k160-mtp2-speed", "8192", "2G", "4096", "0.86", "6291456", true},
    {"k160-nospec-speed", "8192", "2G", "4096", "0.86", "6291456", false},
    {"k160-nospec-eval", "8192", "1G", "1024", "0.84", "6291456", false},
};

/// The keys and values of a profile, in the order of the published table.
inline std::vector<std::pair<std::string, std::string>> published_keys(const PublishedEnv& p) {
  const bool k144 = std::string(p.name).starts_with("k144");
  std::vector<std::pair<std::string, std::string>> keys;
  if (!k144) {  // that of K144 is not published with it
    keys = {{"MODEL_REPO", "0xSero/DeepSeek-V4-Flash-180B"},
            {"MODEL_REVISION", "7c360e1cd4a5168099dbc54d16d929bf6df04990"}};
  }
  keys.insert(keys.end(),
              {{"SERVED_MODEL_NAME", "DeepSeek-V4-Flash-Spark"},
               {"CONTEXT_LENGTH", p.context},
               {"KV_CACHE_MEMORY_BYTES", p.kv},
               {"KV_CACHE_DTYPE", "fp8"},
               {"MAX_NUM_BATCHED_TOKENS", p.chunk},
               {"MAX_NUM_SEQS", "1"},
               {"GPU_MEMORY_UTILIZATION", p.utilization},
               {"WATCHDOG_MIN_AVAILABLE_KB", p.floor_kb},
               {"THINKING", "true"},
               {"SPECULATIVE_CONFIG",
                p.drafts ? R"({"method":"deepseek_mtp","num_speculative_tokens":2})" : ""},
               {"VLLM_ENABLE_DEEPSEEK_V4_SPARSE_MLA_WARMUP", "0"},
               {"VLLM_TRITON_MLA_SPARSE_ALLOW_CUDAGRAPH", "1"}});
  return keys;
}

/// As a file: JSON in single quotes.
inline std::string published_text(const PublishedEnv& p) {
  std::string text = "# " + std::string(p.name) + "\n";
  for (const auto& [key, value] : published_keys(p)) {
    const bool plain = value.find('"') == std::string::npos;
    text += key + "=" + (plain ? value : "'" + value + "'") + "\n";
  }
  return text;
}

}  // namespace ds4::profiles

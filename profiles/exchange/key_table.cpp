#include "profiles/exchange/key_table.h"

namespace ds4::profiles {
namespace {

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

}  // namespace

std::span<const EnvKey> env_key_table() {
  return kKeys;
}

}  // namespace ds4::profiles

// Rules about [launch]: what went wrong with other servers. They look at the flags as they are
// exported, those that [engine] decides among them.
#include <charconv>
#include <filesystem>

#include "engine/api/checkpoints.h"
#include "engine/api/session.h"
#include "engine/base/checkpoint_name.h"
#include "profiles/exchange/command.h"
#include "runners/fit/lint_tables.h"

namespace ds4::runners::fit {
namespace {

// Bounds of the sources beside each rule; the default is vLLM's.
constexpr double kDefaultUtilization = 0.9, kFrozenAt = 0.70, kReachable = 0.84;
// Expert counts that vLLM's kernel is built for.
constexpr int kExperts[] = {1, 2, 4, 8, 16, 32, 64, 128, 192, 256, 320, 384, 448, 512, 576};

constexpr const char* kAllocator = "PYTORCH_CUDA_ALLOC_CONF";
constexpr const char* kHeadBlock = "VLLM_TRITON_MLA_SPARSE_HEAD_BLOCK_SIZE";

bool shared_launch(const Subject& s) {
  return !s.cell.launch.server.empty() && (!s.machine || s.machine->unified);
}

// The value of a flag as it is exported; "" when it is not.
std::string flag_of(const Subject& s, const std::string& name) {
  for (const profiles::LaunchFlag& flag : profiles::server_flags(s.cell)) {
    if (flag.name == name) return flag.value;
  }
  return "";
}

double number_of(const std::string& text, double missing) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && !text.empty() ? value : missing;
}

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

// Whether the model's name or its stated quantization has the word.
bool quantized(const Subject& s, const char* word) {
  const auto& launch = s.cell.launch;
  return lower(launch.model).find(word) != std::string::npos ||
         lower(flag_of(s, "quantization")).find(word) != std::string::npos;
}

MaybeChange expandable_segments(const Subject& s) {
  const std::string* value = s.cell.launch.variable(kAllocator);
  constexpr std::string_view kTrue = "expandable_segments:True";
  const size_t at = value ? value->find(kTrue) : std::string::npos;
  if (!shared_launch(s) || at == std::string::npos) return {};
  std::string changed = *value;
  changed.replace(at, kTrue.size(), "expandable_segments:False");
  return Change{std::string("launch.env.") + kAllocator, "\"" + changed + "\""};
}

MaybeChange profiled_memory(const Subject& s) {
  if (!shared_launch(s) || s.cell.launch.server != "vllm" ||
      !flag_of(s, "kv-cache-memory-bytes").empty() ||
      number_of(flag_of(s, "gpu-memory-utilization"), kDefaultUtilization) < kFrozenAt) {
    return {};
  }
  return Change{"launch.flags.kv-cache-memory-bytes", "\"6G\""};
}

MaybeChange high_utilization(const Subject& s) {
  const std::string text = flag_of(s, "gpu-memory-utilization");
  if (!shared_launch(s) || number_of(text, 0) <= kReachable) return {};
  return Change{"launch.flags.gpu-memory-utilization", "0.84"};
}

MaybeChange pool_small_chunk(const Subject& s) {
  const std::string chunk = flag_of(s, "max-num-batched-tokens");
  if (!shared_launch(s) || flag_of(s, "kv-cache-memory-bytes").empty() ||
      number_of(chunk, 2 * kSmallChunk) > kSmallChunk ||
      number_of(flag_of(s, "max-model-len"), 0) < kSmallChunkContext) {
    return {};
  }
  const bool own = s.cell.launch.flag("max-num-batched-tokens") != nullptr;
  return Change{own ? "launch.flags.max-num-batched-tokens" : "engine.prefill_chunk",
                std::to_string(2 * kSmallChunk)};
}

// Silent where the checkpoint is not there.
MaybeChange expert_number(const Subject& s) {
  if (s.cell.launch.server != "vllm" || !s.cell.launch.image.empty()) return {};
  const std::string name = s.cell.checkpoint.string();
  if (name.empty() || (!is_synthetic_name(name) && !std::filesystem::exists(name))) return {};
  for (const int experts :
       read_model_info(resolve_checkpoint(s.cell.checkpoint)).experts_per_layer) {
    if (std::find(std::begin(kExperts), std::end(kExperts), experts) != std::end(kExperts))
      continue;
    return Change{"launch.image", "\"a build that has the number\""};
  }
  return {};
}

MaybeChange nvfp4_fp8_kv(const Subject& s) {
  const bool fp4 = quantized(s, "nvfp4") || quantized(s, "modelopt_fp4");
  if (s.cell.launch.server.empty() || !fp4 || !flag_of(s, "kv-cache-dtype").starts_with("fp8")) {
    return {};
  }
  return Change{"launch.flags.kv-cache-dtype", "\"bfloat16\""};
}

double shards_of(const Subject& s) {
  return number_of(flag_of(s, "tensor-parallel-size"), 1);
}

MaybeChange w4a16_shards(const Subject& s) {
  if (s.cell.launch.server.empty() || !quantized(s, "w4a16") || shards_of(s) <= 2) return {};
  return Change{"launch.flags.tensor-parallel-size", "2"};
}

MaybeChange w4a16_one_gpu(const Subject& s) {
  if (s.cell.launch.server.empty() || !quantized(s, "w4a16") || shards_of(s) >= 2) return {};
  return Change{"launch.flags.tensor-parallel-size", "2"};
}

MaybeChange w4a16_head_block(const Subject& s) {
  const std::string* value = s.cell.launch.variable(kHeadBlock);
  if (s.cell.launch.server != "vllm" || !quantized(s, "w4a16") || (value && *value == "4")) {
    return {};
  }
  return Change{std::string("launch.env.") + kHeadBlock, "\"4\""};
}

MaybeChange separate_drafter(const Subject& s) {
  const std::string drafts = flag_of(s, "speculative-config");
  if (!shared_launch(s) || drafts.find("\"model\"") == std::string::npos) return {};
  return Change{"engine.draft_tokens", "0"};
}

MaybeChange sglang_staging(const Subject& s) {
  if (!shared_launch(s) || s.cell.launch.server != "sglang" || !s.machine->memory ||
      2 * weight_bytes(*s.prediction) <= s.machine->memory->usable()) {
    return {};
  }
  return Change{"launch.server", "\"vllm\""};
}

constexpr Rule kRules[] = {
    {"expandable-segments", "launch.env.PYTORCH_CUDA_ALLOC_CONF",
     "a shared GPU and expandable_segments:True",
     "two Sparks had three driver errors for lack of memory while the drafter loaded; with False "
     "one "
     "when kernels were tuned at start, else none",
     "NVIDIA/dgx-spark-playbooks#97", false, expandable_segments},
    {"profiled-memory", "launch.flags.gpu-memory-utilization, launch.flags.kv-cache-memory-bytes",
     "a shared GPU, no fixed KV pool and a utilization of 0.70 or more (vLLM's default is 0.9)",
     "at 0.70 the profiling at start froze the machine", "vllm-project/vllm#46307", false,
     profiled_memory},
    {"high-utilization", "launch.flags.gpu-memory-utilization",
     "a shared GPU and a utilization above 0.84",
     "about 102 of 121.69 GiB could be had at most, so that the share asked for was out of reach",
     "MiaAI-Lab/GLM-5.3-Flash-EXL3-2x-DGX-Sparks#47", false, high_utilization},
    {"pool-small-chunk",
     "launch.flags.kv-cache-memory-bytes, engine.prefill_chunk, engine.context_length",
     "a shared GPU, a KV pool of fixed size, a chunk of at most 4096 and a context of 98,304 or "
     "more",
     "the driver ran out of memory within three minutes, and the machine had to be rebooted",
     "MiaAI-Lab/DeepSeek-v4-Flash-One-DGX-Spark#10", false, pool_small_chunk},
    {"expert-number", "checkpoint, launch.image",
     "vLLM without an image of its own, and a number of experts its kernel is not built for, such "
     "as 144, 160 or 180",
     "stock vLLM refused to start: unsupported expert number", "vllm-project/vllm#50982, #51521",
     false, expert_number},
    {"nvfp4-fp8-kv", "launch.model, launch.flags.quantization, launch.flags.kv-cache-dtype",
     "a model in NVFP4 and FP8 KV",
     "V3.2-508B answered garbage on eight cards of 96 GB until its KV was BF16",
     "model card of V3.2-508B-NVFP4", false, nvfp4_fp8_kv},
    {"w4a16-shards", "launch.model, launch.flags.tensor-parallel-size",
     "a model in W4A16 over more than two GPUs", "its layers are sharded wrongly beyond two",
     "canada-quant/dsv4-flash-w4a16-fp8", false, w4a16_shards},
    {"w4a16-one-gpu", "launch.model, launch.flags.tensor-parallel-size",
     "a model in W4A16 on one GPU", "143 GB of weights ran out of memory on one H200",
     "canada-quant/dsv4-flash-w4a16-fp8", false, w4a16_one_gpu},
    {"w4a16-head-block", "launch.model, launch.env.VLLM_TRITON_MLA_SPARSE_HEAD_BLOCK_SIZE",
     "a model in W4A16 in vLLM and the variable is not 4",
     "warm-up ended in an illegal memory access", "canada-quant/dsv4-flash-w4a16-fp8", false,
     w4a16_head_block},
    {"separate-drafter", "launch.flags.speculative-config, engine.draft_tokens",
     "a shared GPU and a drafter that is a model of its own",
     "the driver ran out of memory three seconds after the drafter began to load",
     "eugr/spark-vllm-docker#336", false, separate_drafter},
    {"sglang-staging", "launch.server, checkpoint",
     "a shared GPU, SGLang, and weights of more than half of the memory",
     "the loader was ended while weights and their staging on the host were there at once; 64 GB "
     "of swap helped",
     "sgl-project/sglang#37931", true, sglang_staging},
};

}  // namespace

std::span<const Rule> launch_rules() {
  return kRules;
}

}  // namespace ds4::runners::fit

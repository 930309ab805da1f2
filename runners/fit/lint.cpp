#include "runners/fit/lint.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "engine/api/checkpoints.h"
#include "engine/api/session.h"

namespace ds4::runners::fit {
namespace {

using MaybeChange = std::optional<Change>;
using profiles::SuiteSection;
constexpr int64_t kGiB = int64_t{1} << 30;

// Bounds of the sources beside each rule; those of the last line are ours.
constexpr int64_t kSmallChunk = 4096, kSmallChunkContext = 98304;
constexpr int64_t kLeastFloor = 2 * kGiB, kHighFloor = 8 * kGiB;
constexpr int64_t kDraftTransient = 6 * kGiB;
constexpr auto kMostDeviceWeights = static_cast<int64_t>(96.66 * kGiB);
constexpr int64_t kMillion = 1000000;
constexpr int64_t kResetPrompt = 131072, kSafePrompt = 32768;
constexpr int64_t kGarbledPrompt = 262144;
constexpr double kPrefillRate = 485, kDecodeRate = 11;  // tokens a second
constexpr int64_t kResidues = 4;
constexpr int64_t kSpeedTokens = 256, kSpeedSamples = 3, kThinkingTokens = 4096;

template <typename T>
T value_of(const SuiteSection& suite, const char* name, T missing) {
  const auto found = suite.parameters.find(name);
  const T* value = found == suite.parameters.end() ? nullptr : std::get_if<T>(&found->second);
  return value ? *value : missing;
}

// Prompt tokens; none for suites whose prompts are short.
std::vector<int64_t> lengths_of(const SuiteSection& suite) {
  return value_of(suite, "lengths", std::vector<int64_t>());
}

int64_t longest_of(const SuiteSection& suite) {
  const auto lengths = lengths_of(suite);
  return lengths.empty() ? 0 : *std::max_element(lengths.begin(), lengths.end());
}

int64_t answer_of(const SuiteSection& suite) {
  return value_of(suite, "max_tokens", int64_t{0});
}

int64_t longest_of(const profiles::Profile& cell) {
  int64_t longest = 0;
  for (const SuiteSection& suite : cell.suites) longest = std::max(longest, longest_of(suite));
  return longest;
}

const SuiteSection* suite_of(const profiles::Profile& cell, std::string_view name) {
  for (const SuiteSection& suite : cell.suites) {
    if (suite.name == name) return &suite;
  }
  return nullptr;
}

std::string list(const std::vector<int64_t>& values) {
  std::string text;
  for (const int64_t value : values) text += (text.empty() ? "" : ", ") + std::to_string(value);
  return "[" + text + "]";
}

// On a GPU that shares its memory, or may: what happened on a Spark says nothing of cards.
bool shared_gpu(const Subject& s) {
  return s.cell.engine.device == "cuda" && (!s.machine || s.machine->unified);
}

int64_t weight_bytes(const Prediction& prediction) {
  int64_t bytes = 0;
  for (const Owner& owner : prediction.owners) {
    if (owner.name == "weights" || owner.name == "MTP weights") bytes += owner.bytes;
  }
  return bytes;
}

MaybeChange small_chunk(const Subject& s) {
  if (!shared_gpu(s) || s.cell.engine.prefill_chunk > kSmallChunk ||
      s.cell.engine.context_length < kSmallChunkContext) {
    return {};
  }
  return Change{"engine.prefill_chunk", std::to_string(2 * kSmallChunk)};
}

MaybeChange low_floor(const Subject& s) {
  if (!shared_gpu(s) || s.cell.memory_floor.value_or(kLeastFloor) >= kLeastFloor) return {};
  return Change{"limits.memory_floor", "\"6GiB\""};
}

MaybeChange drafts_high_floor(const Subject& s) {
  if (!shared_gpu(s) || s.cell.engine.draft_tokens == 0 ||
      s.cell.memory_floor.value_or(0) < kHighFloor || longest_of(s.cell) < kResetPrompt) {
    return {};
  }
  return Change{"engine.draft_tokens", "0"};
}

MaybeChange drafts_little_margin(const Subject& s) {
  if (!shared_gpu(s) || s.cell.engine.draft_tokens == 0 || s.verdict->margin() < 0 ||
      s.verdict->margin() >= kDraftTransient) {
    return {};
  }
  return Change{"engine.draft_tokens", "0"};
}

MaybeChange device_weights(const Subject& s) {
  if (!shared_gpu(s) || s.cell.engine.residency != "device" ||
      weight_bytes(*s.prediction) <= kMostDeviceWeights) {
    return {};
  }
  return Change{"engine.residency", "\"managed\""};
}

MaybeChange managed_weights(const Subject& s) {
  if (!shared_gpu(s) || s.cell.engine.residency != "managed" || s.verdict->fit != Fit::kFits ||
      weight_bytes(*s.prediction) > kMostDeviceWeights) {
    return {};
  }
  return Change{"engine.residency", "\"device\""};
}

MaybeChange plain_kv(const Subject& s) {
  if (!shared_gpu(s) || s.cell.engine.kv_dtype != "bf16" ||
      s.cell.engine.context_length < kMillion) {
    return {};
  }
  return Change{"engine.kv_dtype", "\"fp8\""};
}

MaybeChange long_prompt_first(const Subject& s) {
  if (!shared_gpu(s)) return {};
  for (const SuiteSection& suite : s.cell.suites) {
    std::vector<int64_t> lengths = lengths_of(suite);
    for (const int64_t length : lengths) {
      if (length >= kResetPrompt) {
        lengths.insert(lengths.end(), {kSafePrompt, 2 * kSafePrompt});
        std::sort(lengths.begin(), lengths.end());
        return Change{suite.name + ".lengths", list(lengths)};
      }
      if (length >= kSafePrompt) return {};
    }
  }
  return {};
}

MaybeChange context_beyond_model(const Subject& s) {
  const int64_t limit = read_model_info(resolve_checkpoint(s.cell.checkpoint)).context_limit;
  if (s.cell.engine.context_length <= limit) return {};
  return Change{"engine.context_length", std::to_string(limit)};
}

MaybeChange prompt_beyond_context(const Subject& s) {
  int64_t most = 0;
  for (const SuiteSection& suite : s.cell.suites) {
    most = std::max(most, longest_of(suite) + answer_of(suite));
  }
  if (most <= s.cell.engine.context_length) return {};
  return Change{"engine.context_length", std::to_string(most)};
}

MaybeChange sequences_of_long_prompts(const Subject& s) {
  if (s.cell.engine.sequences == 1 || longest_of(s.cell) < kGarbledPrompt) return {};
  return Change{"engine.sequences", "1"};
}

MaybeChange speed_of_sequences(const Subject& s) {
  const SuiteSection* speed = suite_of(s.cell, "speed");
  if (!speed || s.cell.engine.sequences == 1 || longest_of(*speed) < kSafePrompt) return {};
  return Change{"engine.sequences", "1"};
}

MaybeChange case_timeout(const Subject& s) {
  if (!shared_gpu(s)) return {};
  double seconds = 0;
  for (const SuiteSection& suite : s.cell.suites) {
    seconds = std::max(seconds, static_cast<double>(longest_of(suite)) / kPrefillRate +
                                    static_cast<double>(answer_of(suite)) / kDecodeRate);
  }
  if (seconds <= s.cell.case_timeout_s) return {};
  return Change{"limits.case_timeout",
                "\"" + std::to_string(static_cast<int64_t>(std::ceil(seconds / 60))) + "m\""};
}

// By the cases that the suite plans, since few samples do not reach every residue.
MaybeChange needle_residues(const Subject& s) {
  const SuiteSection* needle = suite_of(s.cell, "needle");
  if (!needle || longest_of(*needle) < kSafePrompt) return {};
  const auto residues = value_of(*needle, "residues", std::vector<int64_t>());
  if (std::set(residues.begin(), residues.end()).size() < kResidues) {
    return Change{"needle.residues", "[0, 1, 2, 3]"};
  }
  std::map<std::string, std::set<std::string>> seen;  // residues by length
  for (const suites::CaseSpec& spec : suites::find_suite("needle")->plan(needle->parameters)) {
    seen[spec.tags.at("length")].insert(spec.tags.at("residue"));
  }
  for (const auto& [length, found] : seen) {
    if (std::stoll(length) < kSafePrompt || found.size() == kResidues) continue;
    const auto depths = value_of(*needle, "depths", std::vector<double>{0});
    return Change{"needle.samples", list({static_cast<int64_t>(depths.size()) * kResidues})};
  }
  return {};
}

MaybeChange short_answers(const Subject& s) {
  const SuiteSection* speed = suite_of(s.cell, "speed");
  if (!speed || answer_of(*speed) >= kSpeedTokens) return {};
  return Change{"speed.max_tokens", std::to_string(kSpeedTokens)};
}

MaybeChange few_speed_samples(const Subject& s) {
  const SuiteSection* speed = suite_of(s.cell, "speed");
  if (!speed) return {};
  const auto samples = value_of(*speed, "samples", std::vector<int64_t>{kSpeedSamples});
  if (*std::min_element(samples.begin(), samples.end()) >= kSpeedSamples) return {};
  return Change{"speed.samples", list({kSpeedSamples})};
}

MaybeChange thinking_budget(const Subject& s) {
  for (const SuiteSection& suite : s.cell.suites) {
    if (suite.name == "speed" || !value_of(suite, "thinking", false)) continue;
    if (answer_of(suite) >= kThinkingTokens) continue;
    return Change{suite.name + ".max_tokens", std::to_string(kThinkingTokens)};
  }
  return {};
}

MaybeChange stop_strings(const Subject& s) {
  if (s.cell.sampling.stop.empty()) return {};
  return Change{"sampling.stop", "[]"};
}

constexpr Rule kRules[] = {
    {"small-chunk", "engine.prefill_chunk, engine.context_length",
     "a shared GPU, a chunk of at most 4096 and a context of 98,304 or more",
     "with a KV pool of fixed size the driver ran out of memory within three minutes, and the "
     "machine had to be rebooted",
     "MiaAI-Lab/DeepSeek-v4-Flash-One-DGX-Spark#10", false, small_chunk},
    {"low-floor", "limits.memory_floor", "a shared GPU and a floor under 2 GiB",
     "with a floor of 1 KB nothing stopped the run before the whole machine was out of memory",
     "0xSero/deepseek-spark", false, low_floor},
    {"drafts-high-floor", "engine.draft_tokens, limits.memory_floor, lengths",
     "a shared GPU, drafts, a floor of 8 GiB or more and prompts of 131,072 or more",
     "K144 with two drafts and a floor of 8 GiB was faster at short decode, but not safe at long "
     "context",
     "0xSero/deepseek-spark", false, drafts_high_floor},
    {"drafts-little-margin", "engine.draft_tokens, the margin",
     "a shared GPU, drafts and a margin under 6 GiB",
     "drafting repetitive JSON took 4 to 6 GiB for a moment, and the watchdog ended the run at its "
     "floor",
     "bmarti44/spark-deepseek-v4-flash", true, drafts_little_margin},
    {"device-weights", "engine.residency, checkpoint",
     "a shared GPU and more than 96.66 GiB of weights in device memory",
     "the most that is known to have run so is K160 with 96.66 GiB; K180 was run in managed memory",
     "0xSero/DeepSeek-V4-Flash-180B (model card); sleepyeldrazi/ds4-nvfp4-spark", true,
     device_weights},
    {"managed-weights", "engine.residency, checkpoint",
     "a shared GPU and managed memory for at most 96.66 GiB of weights that fit",
     "managed memory was read at 97 GB/s, and at 68 without hints; device memory at 118",
     "sleepyeldrazi/ds4-nvfp4-spark", true, managed_weights},
    {"plain-kv", "engine.kv_dtype, engine.context_length",
     "a shared GPU, bf16 KV and a context of 1,000,000 or more",
     "K180 at a million tokens ran out of KV memory with unpacked rows",
     "sleepyeldrazi/ds4-nvfp4-spark", false, plain_kv},
    {"long-prompt-first", "lengths",
     "a shared GPU and a prompt of 131,072 or more before any of 32,768 or more",
     "a prompt of 131K, or one cold prompt of 256K, reset the machine where 32K and 64K passed: "
     "climb, so that something is stored before",
     "NVIDIA/dgx-spark-playbooks#97; MiaAI-Lab/DeepSeek-v4-Flash-DSpark-2x-DGX-Spark#32", false,
     long_prompt_first},
    {"context-beyond-model", "engine.context_length, checkpoint",
     "a context longer than the checkpoint's max_position_embeddings",
     "servers started with 1.5M and 2M ended after 50 seconds; this engine refuses to start",
     "canada-quant/dsv4-flash-w4a16-fp8", false, context_beyond_model},
    {"prompt-beyond-context", "lengths, max_tokens, engine.context_length",
     "a prompt and its answer are longer than the context",
     "all six needles of 256K and 1M failed: requests refused, or at their time limit",
     "canada-quant/dsv4-flash-w4a16-fp8", false, prompt_beyond_context},
    {"sequences-of-long-prompts", "engine.sequences, lengths",
     "several sequences and prompts of 262,144 or more",
     "six requests at a time at 472,816 prompt tokens gave words in foreign scripts now and then",
     "local-inference-lab/vllm#478", false, sequences_of_long_prompts},
    {"speed-of-sequences", "engine.sequences, speed.lengths",
     "several sequences and speed prompts of 32,768 or more",
     "decode of one sequence competes with the prefill of the others, so that more sequences look "
     "slower",
     "AttuneIntelligence/DeepSeek-v4-Flash-One-DGX-Spark", false, speed_of_sequences},
    {"case-timeout", "limits.case_timeout, lengths, max_tokens",
     "a shared GPU and a case that takes longer than its limit at 485 prompt and 11 answer tokens "
     "a second",
     "these are the rates published for one Spark, of K160 at 186K and of K180; long needles were "
     "lost to time limits",
     "0xSero/deepseek-spark; sleepyeldrazi/ds4-nvfp4-spark; canada-quant/dsv4-flash-w4a16-fp8",
     true, case_timeout},
    {"needle-residues", "needle.residues, needle.samples, needle.lengths",
     "needles of 32,768 or more that do not meet every prompt length modulo 4",
     "with thinking off, four servers got the last digit wrong whenever the prompt length was 3 "
     "modulo 4, and only "
     "then",
     "vllm-project/vllm#55927", false, needle_residues},
    {"short-answers", "speed.max_tokens", "speed with answers under 256 tokens",
     "33.3 tokens a second were published of an answer of 24 tokens: 0.7 seconds",
     "0xSero/deepseek-v4-flash-spark-200k", false, short_answers},
    {"few-speed-samples", "speed.samples", "speed with fewer than three samples of a length",
     "the same prompt differed by up to 14 tokens a second between samples",
     "AttuneIntelligence/DeepSeek-v4-Flash-One-DGX-Spark", false, few_speed_samples},
    {"thinking-budget", "thinking, max_tokens",
     "thinking with fewer than 4096 tokens, in any suite but speed",
     "prompts that passed 6 of 6 passed 2 of 6 when thinking used up the answer's tokens",
     "AttuneIntelligence/DeepSeek-v4-Flash-One-DGX-Spark; 0xSero/deepseek-spark", false,
     thinking_budget},
    {"stop-strings", "sampling.stop", "any stop string",
     "a list of stop strings made HumanEval 0 of 164", "bmarti44/spark-deepseek-v4-flash", false,
     stop_strings},
};

}  // namespace

std::span<const Rule> lint_rules() {
  return kRules;
}

std::vector<Finding> lint(const Subject& subject) {
  std::vector<Finding> findings;
  if (subject.cell.target != "engine") return findings;
  for (const Rule& rule : kRules) {
    if (rule.needs_machine && !(subject.machine && subject.prediction && subject.verdict)) continue;
    if (auto change = rule.check(subject)) findings.push_back({&rule, std::move(*change)});
  }
  return findings;
}

}  // namespace ds4::runners::fit

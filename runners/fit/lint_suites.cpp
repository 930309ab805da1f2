// Rules about the suites: prompts and answers that cost a machine or spoilt a figure.
#include <cmath>
#include <map>
#include <set>

#include "runners/fit/lint_tables.h"

namespace ds4::runners::fit {
namespace {

// Bounds of the sources beside each rule; those of the last line are ours.
constexpr int64_t kSafePrompt = 32768, kGarbledPrompt = 262144;
constexpr double kPrefillRate = 485, kDecodeRate = 11;  // tokens a second
constexpr int64_t kResidues = 4;
constexpr int64_t kSpeedTokens = 256, kSpeedSamples = 3, kThinkingTokens = 4096;

int64_t answer_of(const SuiteSection& suite) {
  const auto fixed = value_of(suite, "answer_tokens", int64_t{0});
  return fixed > 0 ? fixed : value_of(suite, "max_tokens", int64_t{0});
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
  std::set<int64_t> reached;
  for (const int64_t residue : residues) reached.insert(residue % kResidues);
  if (std::ssize(reached) < kResidues) {
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
    {"long-prompt-first", "lengths",
     "a shared GPU and a prompt of 131,072 or more before any of 32,768 or more",
     "a prompt of 131K, or one cold prompt of 256K, reset the machine where 32K and 64K passed: "
     "climb, so that something is stored before",
     "NVIDIA/dgx-spark-playbooks#97; MiaAI-Lab/DeepSeek-v4-Flash-DSpark-2x-DGX-Spark#32", false,
     long_prompt_first},
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

std::span<const Rule> suite_rules() {
  return kRules;
}

}  // namespace ds4::runners::fit

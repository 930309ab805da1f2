// The sampling settings as flags, for the verbs that drive the engine directly.
#pragma once

#include <CLI/CLI.hpp>
#include <charconv>

#include "engine/api/session.h"
#include "engine/base/error.h"

namespace ds4::cli {

/// "ID=BIAS". Throws Error(kUsage).
inline LogitBias parse_logit_bias(const std::string& text) {
  LogitBias bias;
  const char* const end = text.data() + text.size();
  const auto id = std::from_chars(text.data(), end, bias.token);
  const bool split = id.ec == std::errc() && id.ptr != end && *id.ptr == '=';
  const auto value = std::from_chars(split ? id.ptr + 1 : end, end, bias.bias);
  if (value.ec != std::errc() || value.ptr != end) {
    throw Error(ErrorCode::kUsage, "--logit-bias " + text + " is not of the form ID=BIAS",
                "Write for example --logit-bias 17=-1000; `--json` shows the ids of tokens.");
  }
  return bias;
}

/// --temperature, --top-k, --min-p, --top-p, --repetition-penalty, --presence-penalty,
/// --frequency-penalty, --logit-bias, --seed. Their ranges are the engine's to check.
inline void add_sampling_flags(CLI::App* verb, SamplingSettings& sampling) {
  verb->add_option("--temperature", sampling.temperature, "0 = greedy")->capture_default_str();
  verb->add_option("--top-k", sampling.top_k, "Keep so many of the likeliest tokens; 0 = all")
      ->capture_default_str();
  verb->add_option("--min-p", sampling.min_p,
                   "Keep tokens with this share of the likeliest one's probability")
      ->capture_default_str();
  verb->add_option("--top-p", sampling.top_p, "Keep the likeliest tokens up to this sum; 1 = all")
      ->capture_default_str();
  verb->add_option("--repetition-penalty", sampling.repetition_penalty,
                   "Divides logits of tokens of prompt and answer; 1 = none")
      ->capture_default_str();
  verb->add_option("--presence-penalty", sampling.presence_penalty,
                   "Subtracted once from tokens of the answer")
      ->capture_default_str();
  verb->add_option("--frequency-penalty", sampling.frequency_penalty,
                   "Subtracted from tokens of the answer for each occurrence")
      ->capture_default_str();
  verb->add_option_function<std::vector<std::string>>(
          "--logit-bias",
          [&sampling](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) {
              sampling.logit_bias.push_back(parse_logit_bias(text));
            }
          },
          "ID=BIAS: added to a token's logit; -1000 forbids it. May be repeated")
      ->take_all()
      ->allow_extra_args(false);
  verb->add_option("--seed", sampling.seed, "Seed of the draws")->capture_default_str();
}

}  // namespace ds4::cli

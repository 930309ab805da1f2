// The frontier suite: one text is read on and on, and at each frontier some tokens are decoded that
// the next one does not keep. What lies in front of a frontier is the target's to remember.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "suites/common/complete.h"
#include "suites/common/long_text.h"
#include "suites/common/parameters.h"
#include "suites/common/rng.h"
#include "suites/registry.h"

namespace ds4::suites {

extern const std::string_view frontier_toml;

namespace {

// Every frontier's prompt is made before the walk begins and stored behind it.
constexpr int64_t kMostTokens = 20'000'000;

struct Settings {
  CommonParameters common;
  int64_t start = 0, end = 0, step = 0;
  double multiply = 1;
  std::string text, opening;
};

Settings read_settings(const Parameters& parameters) {
  const ParameterReader reader("frontier", parameters);
  Settings settings;
  settings.common = common_parameters(reader);
  const IntegerRange range{32, 4194304, "tokens"};
  settings.start = reader.integer("ctx_start", range);
  settings.end = reader.integer("ctx_max", range);
  settings.step = reader.integer("step", range);
  settings.multiply = reader.real("multiply", {1, 16});
  settings.text = parameter_as<std::string>(parameters, "text");
  settings.opening = parameter_as<std::string>(parameters, "opening");
  if (settings.end < settings.start) {
    throw Error(ErrorCode::kProfile,
                "frontier: `ctx_max` " + std::to_string(settings.end) + " is below `ctx_start` " +
                    std::to_string(settings.start),
                "Raise `ctx_max`, or lower `ctx_start`.");
  }
  return settings;
}

std::vector<int64_t> frontiers(const Settings& settings) {
  std::vector<int64_t> lengths = {settings.start};
  int64_t sum = settings.start;
  while (lengths.back() < settings.end) {
    const int64_t last = lengths.back();
    const int64_t next = settings.multiply > 1
                             ? std::max<int64_t>(last + 1, std::llround(static_cast<double>(last) *
                                                                        settings.multiply))
                             : last + settings.step;
    lengths.push_back(std::min<int64_t>(next, settings.end));
    sum += lengths.back();
    if (sum > kMostTokens) {
      throw Error(ErrorCode::kProfile,
                  "frontier: the prompts of all frontiers add up to more than " +
                      std::to_string(kMostTokens) + " tokens",
                  "Take a larger `step`, or `multiply = 2.0`.");
    }
  }
  return lengths;
}

std::string whole_text(const Settings& settings) {
  if (!settings.text.empty()) return settings.opening + file_text("frontier", settings.text);
  const auto seed = case_seed("frontier", settings.common.seed, "text");
  // A word has a token at least, so that these are enough whatever the tokenizer.
  return settings.opening + generated_text(seed, 2 * settings.end);
}

class Frontier final : public Suite {
 public:
  std::string_view name() const override { return "frontier"; }
  std::string_view toml() const override { return frontier_toml; }

  std::vector<CaseSpec> plan(const Parameters& parameters) const override {
    const Settings settings = read_settings(parameters);
    std::vector<CaseSpec> cases;
    for (const int64_t length : frontiers(settings)) {
      CaseSpec spec;
      spec.id = std::to_string(length);
      spec.tags = {{"frontier", spec.id}};
      spec.seed = case_seed(name(), settings.common.seed, spec.id);
      spec.load = {"walk", 1};
      cases.push_back(std::move(spec));
    }
    return cases;
  }

  std::vector<Need> needs(const Parameters&) const override { return {Need::kRawPrompts}; }

  Case build(const Parameters& parameters, const CaseSpec& spec,
             const TokenCounter& counter) const override {
    const Settings settings = read_settings(parameters);
    const int64_t tokens = std::stoll(spec.tags.at("frontier"));
    const std::string text = whole_text(settings);
    Beginning beginning = beginning_of("frontier", text, tokens, counter);
    Case out;
    out.spec = spec;
    out.conversation.thinking =
        settings.common.thinking ? ThinkingMode::kThinking : ThinkingMode::kChat;
    out.limits.max_tokens = settings.common.max_tokens;
    out.limits.ignore_end = true;
    out.cold = tokens == settings.start;
    nlohmann::json expected = {{"asked_tokens", tokens},
                               {"counted_tokens", beginning.tokens},
                               {"answer_tokens", settings.common.max_tokens}};
    if (!settings.text.empty()) {
      expected["text_sha256"] = sha256_hex(file_text("frontier", settings.text));
    }
    out.expected = expected.dump();
    out.raw = RawPrompt{std::move(beginning.text)};
    return out;
  }

  Score score(std::string_view expected, const Answer& answer) const override {
    const int64_t tokens = nlohmann::json::parse(expected).at("answer_tokens");
    return complete_score(answer, tokens);
  }
};

}  // namespace

const Suite& frontier_suite() {
  static const Frontier suite;
  return suite;
}

}  // namespace ds4::suites

// The prefix_cache suite: the same prompts in an order that fills, meets and overruns a prefix
// cache. It grades each answer by itself; equal prompts are held against each other on reading.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "suites/common/answers.h"
#include "suites/common/parameters.h"
#include "suites/common/rng.h"
#include "suites/needle/codes.h"
#include "suites/needle/haystack.h"
#include "suites/needle/phrases.h"
#include "suites/registry.h"

namespace ds4::suites {

extern const std::string_view prefix_cache_toml;

namespace {

constexpr int64_t kTail = 64;         // tokens of a prompt behind the part that it shares
constexpr int64_t kCanaryLength = 6;  // shorter values are too easily met by chance

struct Settings {
  std::vector<int64_t> lengths, samples, prefixes;
  int64_t evict = 0, facts = 0, value_length = 0, first_id = 0, last_id = 0;
  bool instructed = false, granularity = false;
  CommonParameters common;
};

Settings read(const Parameters& parameters) {
  const ParameterReader reader("prefix_cache", parameters);
  Settings out;
  out.lengths = reader.integers("lengths", {96, 4194304, "tokens"});
  out.samples = reader.integers_for("samples", {1, kMaxNumberedCases, "trials"}, "lengths",
                                    out.lengths.size());
  out.evict = reader.integer("evict", {1, 1000, "prompts"});
  out.facts = reader.integer("facts", {2, 64, "facts"});
  out.value_length = reader.integer("value_length", {4, 32, "characters"});
  out.instructed = reader.choice("style", {"bare", "instructed"}) == "instructed";
  out.granularity = reader.boolean("granularity");
  out.prefixes = reader.integers("prefixes", {1, 4194304, "tokens"});
  const auto ids = reader.integers("token_ids", {0, 1 << 24, ""});
  if (ids.size() != 2 || ids[0] >= ids[1]) {
    throw Error(ErrorCode::kProfile,
                "suite `prefix_cache`: `token_ids` is not a first and a last id",
                "Write for example token_ids = [300, 1200].");
  }
  out.first_id = ids[0];
  out.last_id = ids[1];
  out.common = common_parameters(reader);
  return out;
}

// One request of a trial: which of its prompts, and in what state of the cache.
struct Step {
  std::string prompt;  // "A", "B", "F0", ...
  const char* phase;
};

std::vector<Step> session_steps(int64_t evict) {
  std::vector<Step> steps = {
      {"A", "cold"}, {"A", "hit"}, {"B", "cold"}, {"A", "after_other"}, {"B", "after_other"}};
  for (int64_t i = 0; i < evict; ++i) steps.push_back({"F" + std::to_string(i), "cold"});
  steps.push_back({"A", "after_many"});
  return steps;
}

std::vector<Step> shared_steps() {
  return {{"A", "cold"}, {"B", "shared"}, {"A", "shared_again"}};
}

// The cases of one trial, asked one after the other and, when one is missing, all again.
void add_trial(const Settings& settings, const std::string& name, const char* tag,
               const std::string& value, const std::vector<Step>& steps,
               std::vector<CaseSpec>& cases) {
  for (size_t i = 0; i < steps.size(); ++i) {
    CaseSpec spec;
    spec.id = name + "/" + numbered_id(static_cast<int64_t>(i)) + "-" + steps[i].prompt;
    spec.tags = {{tag, value}, {"phase", steps[i].phase}};
    spec.seed = case_seed("prefix_cache", settings.common.seed, spec.id);
    spec.load = {name, 1, 0};
    cases.push_back(std::move(spec));
  }
}

// Of the prompt, not of the step, so that equal prompts are built alike; without `prompt` of what
// all prompts of the trial share.
uint64_t prompt_seed(const Settings& settings, const CaseSpec& spec, bool prompt) {
  const std::string trial = spec.id.substr(0, spec.id.rfind('/'));
  const std::string name = prompt ? spec.id.substr(spec.id.rfind('-')) : "";
  return case_seed("prefix_cache", settings.common.seed, trial + name);
}

class PrefixCache final : public Suite {
 public:
  std::string_view name() const override { return "prefix_cache"; }
  std::string_view toml() const override { return prefix_cache_toml; }

  std::vector<CaseSpec> plan(const Parameters& parameters) const override {
    const Settings settings = read(parameters);
    std::vector<CaseSpec> cases;
    for (size_t l = 0; l < settings.lengths.size(); ++l) {
      const std::string length = std::to_string(settings.lengths[l]);
      for (int64_t i = 0; i < settings.samples[l]; ++i) {
        add_trial(settings, length + "/" + numbered_id(i), "length", length,
                  session_steps(settings.evict), cases);
      }
    }
    if (!settings.granularity) return cases;
    for (const int64_t prefix : settings.prefixes) {
      const std::string shared = std::to_string(prefix);
      add_trial(settings, "shared/" + shared, "shared", shared, shared_steps(), cases);
    }
    return cases;
  }

  std::vector<Need> needs(const Parameters& parameters) const override {
    std::vector<Need> needs = Suite::needs(parameters);
    if (read(parameters).granularity) needs.push_back(Need::kRawPrompts);
    return needs;
  }

  Case build(const Parameters& parameters, const CaseSpec& spec,
             const TokenCounter& counter) const override {
    const Settings settings = read(parameters);
    Case out;
    out.spec = spec;
    out.limits.max_tokens = settings.common.max_tokens;
    out.cold = spec.tags.at("phase") == "cold";
    if (spec.tags.contains("shared")) {
      build_shared(settings, out);
    } else {
      build_session(settings, counter, out);
    }
    return out;
  }

  Score score(std::string_view expected, const Answer& answer) const override {
    const auto json = nlohmann::json::parse(expected);
    Score score;
    if (json.contains("answer_tokens")) {
      score.grade = was_cut(answer) ? Grade::kCorrect : Grade::kWrong;
      score.values = {{"right", as_value(was_cut(answer))}};
      score.extracted = answer.finish_reason;
      score.explanation = was_cut(answer) ? "The answer has all tokens asked for."
                                          : "The answer ended before all tokens asked for: " +
                                                printable(answer.finish_reason) + ".";
      return score;
    }
    const std::string value = json.at("value");
    const CodeMatch match = match_codes(visible_answer(answer), {{value}, json.at("others")});
    const bool right = match.kind == CodeMatch::Kind::kExact;
    if (was_cut(answer) && !right) return invalid_score(answer, "a value was given");
    score.grade = right ? Grade::kCorrect : Grade::kWrong;
    score.values = {{"right", as_value(right)}};
    score.extracted = match.found;
    score.explanation = right ? "The answer gives " + value + " and no other fact's value."
                              : value + " was asked; the answer gives " +
                                    (match.found.empty() ? "no value" : match.found) + ".";
    return score;
  }

 private:
  static void build_session(const Settings& settings, const TokenCounter& counter, Case& out) {
    Rng rng(prompt_seed(settings, out.spec, true));
    HaystackRequest request;
    request.opening = random_opening(rng);
    const std::vector<Fact> facts =
        random_facts(rng, settings.facts, settings.value_length, /*digits=*/false);
    request.fact = facts[0].statement;
    request.closing =
        "\n\n" + facts[0].question + (settings.instructed ? answer_instruction() : "");
    nlohmann::json expected = {{"value", facts[0].value}, {"others", nlohmann::json::array()}};
    for (size_t i = 1; i < facts.size(); ++i) {
      request.other_facts.push_back(facts[i].statement);
      expected["others"].push_back(facts[i].value);
    }
    request.tokens = std::stoll(out.spec.tags.at("length"));
    request.depth = 0.5;
    request.thinking = settings.common.thinking;
    request.seed = rng.next();
    out.conversation = build_haystack(request, counter).conversation;
    out.expected = expected.dump();
    for (const Fact& fact : facts) {
      if (settings.value_length >= kCanaryLength) out.canaries.push_back(fact.value);
    }
  }

  // Ids of the trial, which both prompts share, then the prompt's own, which differ at once.
  static void build_shared(const Settings& settings, Case& out) {
    Rng shared(prompt_seed(settings, out.spec, false));
    Rng own(prompt_seed(settings, out.spec, true));
    RawPrompt prompt;
    const int64_t n = std::stoll(out.spec.tags.at("shared"));
    for (int64_t i = 0; i < n; ++i) {
      prompt.tokens.push_back(
          static_cast<int32_t>(shared.between(settings.first_id, settings.last_id)));
    }
    const int64_t middle = settings.first_id + (settings.last_id - settings.first_id) / 2;
    const bool is_a = out.spec.id.ends_with("-A");
    prompt.tokens.push_back(static_cast<int32_t>(is_a ? own.between(settings.first_id, middle)
                                                      : own.between(middle + 1, settings.last_id)));
    while (std::ssize(prompt.tokens) < n + kTail) {
      prompt.tokens.push_back(
          static_cast<int32_t>(own.between(settings.first_id, settings.last_id)));
    }
    out.raw = std::move(prompt);
    out.limits.ignore_end = true;
    out.expected = nlohmann::json{{"answer_tokens", out.limits.max_tokens}}.dump();
  }
};

}  // namespace

const Suite& prefix_cache_suite() {
  static const PrefixCache suite;
  return suite;
}

}  // namespace ds4::suites

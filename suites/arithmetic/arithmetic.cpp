// The arithmetic suite: problems drawn from phrases.json, graded by their final number.
#include <nlohmann/json.hpp>

#include "suites/common/numbers.h"
#include "suites/common/answers.h"
#include "suites/common/conversation.h"
#include "suites/common/parameters.h"
#include "suites/common/rng.h"
#include "suites/common/text_pools.h"
#include "suites/registry.h"

namespace ds4::suites {

extern const std::string_view arithmetic_toml;
extern const std::string_view arithmetic_phrases_json;

namespace {

struct Problem {
  std::string question;
  int64_t result = 0;
};

std::string phrase(const std::string& name, const Bindings& bound, Rng& rng) {
  static const auto lists = nlohmann::json::parse(arithmetic_phrases_json)
                                .get<std::map<std::string, std::vector<std::string>>>();
  return fill_template(rng.pick(lists.at(name)), bound, rng);
}

// The ranges are those of the default checkpoint's training: intermediate results stay small and
// never negative, products start from at most 15.
Problem story(int64_t steps, Rng& rng) {
  Problem out;
  out.result = rng.between(2, 60);
  Bindings bound{{"person", rng.pick(words("people"))},
                 {"things", rng.pick(words("things"))},
                 {"value", std::to_string(out.result)}};
  out.question = phrase("start", bound, rng);
  for (int64_t step = 0; step < steps; ++step) {
    const char operation = "+-*"[rng.below(out.result <= 15 ? 3 : 2)];
    int64_t value = 0;
    if (operation == '+') {
      value = rng.between(2, 40);
      out.result += value;
    } else if (operation == '-') {
      value = out.result < 3 ? 1 : rng.between(1, out.result - 1);
      out.result -= value;
    } else {
      value = rng.between(2, 6);
      out.result *= value;
    }
    bound["value"] = std::to_string(value);
    out.question += phrase(std::string(1, operation), bound, rng);
  }
  out.question += phrase("end", bound, rng);
  return out;
}

Problem sum(Rng& rng) {
  int64_t a = rng.between(1, 99), b = rng.between(1, 99);
  const bool plus = rng.below(2) == 0;
  if (!plus && a < b) std::swap(a, b);
  const Bindings bound{
      {"a", std::to_string(a)}, {"operator", plus ? "+" : "-"}, {"b", std::to_string(b)}};
  return {phrase("sum", bound, rng), plus ? a + b : a - b};
}

class Arithmetic final : public Suite {
 public:
  std::string_view name() const override { return "arithmetic"; }
  std::string_view toml() const override { return arithmetic_toml; }

  std::vector<CaseSpec> plan(const Parameters& parameters) const override {
    const ParameterReader reader(name(), parameters);
    const CommonParameters common = common_parameters(reader);
    const auto kinds = reader.choices("kinds", {"story", "sum"});
    const auto steps = reader.integers("steps", {1, 3, "steps"});
    reader.choice("style", kStyles);
    std::vector<CaseSpec> cases;
    size_t stories = 0;
    const int64_t count = reader.integer("cases", {1, kMaxNumberedCases, "cases"});
    for (int64_t i = 0; i < count; ++i) {
      CaseSpec spec;
      spec.tags["kind"] = kinds[static_cast<size_t>(i) % kinds.size()];
      if (spec.tags["kind"] == "story") {
        spec.tags["steps"] = std::to_string(steps[stories++ % steps.size()]);
        spec.id = "story" + spec.tags["steps"] + "/" + numbered_id(i);
      } else {
        spec.id = "sum/" + numbered_id(i);
      }
      spec.seed = case_seed(name(), common.seed, spec.id);
      cases.push_back(std::move(spec));
    }
    return cases;
  }

  Case build(const Parameters& parameters, const CaseSpec& spec,
             const TokenCounter&) const override {
    const ParameterReader reader(name(), parameters);
    const CommonParameters common = common_parameters(reader);
    Rng rng(spec.seed);
    Problem problem =
        spec.tags.at("kind") == "story" ? story(std::stoll(spec.tags.at("steps")), rng) : sum(rng);
    if (reader.choice("style", kStyles) == "instructed") {
      problem.question += phrase("instruction", {}, rng);
    }
    Case out;
    out.spec = spec;
    out.conversation = ask(problem.question, common.thinking);
    out.limits.max_tokens = common.max_tokens;
    out.expected = nlohmann::json{{"number", std::to_string(problem.result)}}.dump();
    return out;
  }

  Score score(std::string_view expected, const Answer& answer) const override {
    const std::string wanted = nlohmann::json::parse(expected).at("number");
    const std::string_view text = visible_answer(answer);
    const auto strict = strict_number(text);
    const auto flexible = flexible_number(text);
    if (was_cut(answer) && (!strict || strict->at_end)) {
      return invalid_score(answer, "the final number was complete");
    }
    const bool strict_right = strict && normal_number(strict->text) == wanted;
    const bool flexible_right = flexible && normal_number(flexible->text) == wanted;
    Score score;
    score.grade = strict_right ? Grade::kCorrect : Grade::kWrong;
    score.values = {{"strict", as_value(strict_right)}, {"flexible", as_value(flexible_right)}};
    score.extracted = strict ? printable(strict->text) : flexible ? printable(flexible->text) : "";
    if (strict) {
      score.explanation = "After #### stands " + score.extracted + "; " + wanted + " is right.";
    } else if (flexible) {
      score.explanation = "No number after ####; the last number is " + score.extracted + ", " +
                          wanted + " is right.";
    } else {
      score.explanation = trim(text).empty() ? "The answer is empty." : "The answer has no number.";
    }
    return score;
  }

 private:
  inline static const std::vector<std::string> kStyles = {"bare", "instructed"};
};

}  // namespace

const Suite& arithmetic_suite() {
  static const Arithmetic suite;
  return suite;
}

}  // namespace ds4::suites

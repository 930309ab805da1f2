// The smoke suite: fixed questions from cases.json, compared with accepted answers.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/check.h"
#include "suites/common/answers.h"
#include "suites/common/conversation.h"
#include "suites/common/parameters.h"
#include "suites/common/rng.h"
#include "suites/registry.h"

namespace ds4::suites {

extern const std::string_view smoke_toml;
extern const std::string_view smoke_cases_json;

namespace {

const nlohmann::json& cases(const std::string& style) {
  static const auto all = nlohmann::json::parse(smoke_cases_json);
  return all.at(style);
}

class Smoke final : public Suite {
 public:
  std::string_view name() const override { return "smoke"; }
  std::string_view toml() const override { return smoke_toml; }

  std::vector<CaseSpec> plan(const Parameters& parameters) const override {
    const ParameterReader reader(name(), parameters);
    const CommonParameters common = common_parameters(reader);
    std::vector<CaseSpec> out;
    for (const auto& entry : cases(style(reader))) {
      CaseSpec spec;
      spec.id = entry.at("id");
      spec.seed = case_seed(name(), common.seed, spec.id);
      out.push_back(std::move(spec));
    }
    return out;
  }

  Case build(const Parameters& parameters, const CaseSpec& spec,
             const TokenCounter&) const override {
    const ParameterReader reader(name(), parameters);
    const CommonParameters common = common_parameters(reader);
    for (const auto& entry : cases(style(reader))) {
      if (entry.at("id") != spec.id) continue;
      Case out;
      out.spec = spec;
      out.conversation = ask(entry.at("ask"), common.thinking);
      out.limits.max_tokens = common.max_tokens;
      out.expected =
          nlohmann::json{{"accept", entry.at("accept")}, {"key", entry.at("key")}}.dump();
      return out;
    }
    DS4_CHECK(false, "smoke case " + spec.id);
  }

  Score score(std::string_view expected, const Answer& answer) const override {
    const auto json = nlohmann::json::parse(expected);
    const std::string_view text = trim(visible_answer(answer));
    const std::string words = normalise_words(text);
    bool exact = false, normalised = false;
    for (const std::string accepted : json.at("accept")) {
      exact = exact || text == accepted;
      normalised = normalised || words == normalise_words(accepted);
    }
    if (was_cut(answer) && !normalised) return invalid_score(answer, "the answer was complete");

    const std::string key = json.at("key");
    const bool contains = contains_words(words, normalise_words(key));
    Score score;
    score.grade = normalised ? Grade::kCorrect : Grade::kWrong;
    score.values = {{"normalised", as_value(normalised)},
                    {"exact", as_value(exact)},
                    {"contains", as_value(contains)}};
    score.extracted = printable(text);
    const std::string wanted = "\"" + json.at("accept").at(0).get<std::string>() + "\"";
    if (exact) {
      score.explanation = "The answer is " + wanted + ".";
    } else if (normalised) {
      score.explanation = "The answer is an accepted one up to case, punctuation and spacing.";
    } else if (text.empty()) {
      score.explanation = "The answer is empty; " + wanted + " was expected.";
    } else {
      score.explanation = "The answer is not " + wanted +
                          (contains ? ", though it contains \"" : " and lacks \"") + key + "\".";
    }
    return score;
  }

 private:
  static std::string style(const ParameterReader& reader) {
    return reader.choice("style", {"bare", "instructed"});
  }
};

}  // namespace

const Suite& smoke_suite() {
  static const Smoke suite;
  return suite;
}

}  // namespace ds4::suites

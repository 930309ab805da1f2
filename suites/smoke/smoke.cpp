// The smoke suite: fixed questions from cases.json, compared with accepted answers.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/check.h"
#include "suites/common/answers.h"
#include "suites/common/conversation.h"
#include "suites/common/parameters.h"
#include "suites/common/rng.h"
#include "suites/registry.h"
#include "suites/smoke/code_shape.h"

namespace ds4::suites {

extern const std::string_view smoke_toml;
extern const std::string_view smoke_cases_json;

namespace {

using nlohmann::json;

constexpr int64_t kInstructedTokens = 96;
constexpr int64_t kInstructedTokensThinking = 1024;

const json& cases(const std::string& kind) {
  static const auto all = json::parse(smoke_cases_json);
  return all.at(kind);
}

// What a case, or a turn of one, is graded by.
json expected_of(const json& entry) {
  if (entry.contains("code")) return {{"code", entry.at("code")}};
  json out{{"accept", entry.at("accept")}, {"key", entry.at("key")}};
  if (entry.value("exact", false)) out["exact"] = true;
  return out;
}

Score grade_text(const json& wanted, const Answer& answer) {
  const std::string_view text = trim(visible_answer(answer));
  const std::string words = normalise_words(text);
  bool exact = false, normalised = false;
  for (const std::string accepted : wanted.at("accept")) {
    exact = exact || text == accepted;
    normalised = normalised || words == normalise_words(accepted);
  }
  const bool right = wanted.value("exact", false) ? exact : normalised;
  if (was_cut(answer) && !right) return invalid_score(answer, "the answer was complete");

  const std::string key = wanted.at("key");
  const bool contains = contains_words(words, normalise_words(key));
  Score score;
  score.grade = right ? Grade::kCorrect : Grade::kWrong;
  score.values = {{"normalised", as_value(normalised)},
                  {"exact", as_value(exact)},
                  {"contains", as_value(contains)}};
  score.extracted = printable(text);
  const std::string accepted = "\"" + wanted.at("accept").at(0).get<std::string>() + "\"";
  if (exact) {
    score.explanation = "The answer is " + accepted + ".";
  } else if (normalised) {
    score.explanation = "The answer is an accepted one up to case, punctuation and spacing.";
    if (!right) score.explanation += " It was to be " + accepted + " exactly.";
  } else if (text.empty()) {
    score.explanation = "The answer is empty; " + accepted + " was expected.";
  } else {
    score.explanation = "The answer is not " + accepted +
                        (contains ? ", though it contains \"" : " and lacks \"") + key + "\".";
  }
  return score;
}

Score grade_code(const json& wanted, const Answer& answer) {
  if (was_cut(answer)) return invalid_score(answer, "the function was complete");
  const WantedCode code{wanted.at("language"), wanted.at("name"), wanted.at("parameters"),
                        wanted.at("must"), wanted.at("must_not")};
  std::string_view block;
  const std::string wrong = wrong_with_code(code, visible_answer(answer), block);
  Score score;
  score.grade = wrong.empty() ? Grade::kCorrect : Grade::kWrong;
  score.values = {{"normalised", as_value(wrong.empty())}};
  score.extracted = printable(block);
  score.explanation = wrong.empty() ? "The function has the structure asked for; it was not run."
                                    : "As to the function, " + wrong + ".";
  return score;
}

Score grade(const json& wanted, const Answer& answer) {
  return wanted.contains("code") ? grade_code(wanted.at("code"), answer)
                                 : grade_text(wanted, answer);
}

class Smoke final : public Suite {
 public:
  std::string_view name() const override { return "smoke"; }
  std::string_view toml() const override { return smoke_toml; }

  std::vector<CaseSpec> plan(const Parameters& parameters) const override {
    const ParameterReader reader(name(), parameters);
    const CommonParameters common = common_of(reader);
    std::vector<CaseSpec> out;
    for (const std::string& kind : kinds(reader)) {
      for (const auto& entry : cases(kind)) {
        CaseSpec spec;
        spec.id = entry.at("id");
        if (kind != "bare") spec.tags["kind"] = kind;
        spec.seed = case_seed(name(), common.seed, spec.id);
        out.push_back(std::move(spec));
      }
    }
    return out;
  }

  Case build(const Parameters& parameters, const CaseSpec& spec,
             const TokenCounter&) const override {
    const ParameterReader reader(name(), parameters);
    const CommonParameters common = common_of(reader);
    const auto kind = spec.tags.find("kind");
    for (const auto& entry : cases(kind == spec.tags.end() ? "bare" : kind->second)) {
      if (entry.at("id") != spec.id) continue;
      Case out;
      out.spec = spec;
      out.limits.max_tokens = common.max_tokens;
      const bool several = entry.contains("turns");
      const json& first = several ? entry.at("turns").at(0) : entry;
      out.conversation = ask(first.at("ask"), common.thinking);
      auto& messages = out.conversation.messages;
      for (const auto& told : entry.value("history", json::array())) {
        messages.insert(messages.end() - 1, message(told.at("role"), told.at("content")));
      }
      json expected = expected_of(first);
      if (several) {
        expected = {{"turns", json::array()}};
        for (const auto& turn : entry.at("turns")) {
          expected["turns"].push_back(expected_of(turn));
          expected["turns"].back()["ask"] = turn.at("ask");
        }
      }
      out.expected = expected.dump();
      return out;
    }
    DS4_CHECK(false, "smoke case " + spec.id);
  }

  std::vector<Message> reply(std::string_view expected,
                             std::span<const Turn> turns) const override {
    const auto wanted = json::parse(expected);
    const auto all = wanted.find("turns");
    if (all == wanted.end() || turns.size() >= all->size() || was_cut(turns.back().answer))
      return {};
    return {message("user", all->at(turns.size()).at("ask"))};
  }

  Score score(std::string_view expected, const Answer& answer) const override {
    const Turn only{answer};
    return score_turns(expected, {&only, 1});
  }

  // Right when every turn is; the first that is not decides and explains.
  Score score_turns(std::string_view expected, std::span<const Turn> turns) const override {
    const auto wanted = json::parse(expected);
    const auto all = wanted.find("turns");
    if (all == wanted.end()) return grade(wanted, turns.back().answer);
    std::string extracted;
    Score score;
    for (size_t i = 0; i < all->size(); ++i) {
      if (i == turns.size()) return invalid_score(turns.back().answer, "its last turn");
      score = grade(all->at(i), turns[i].answer);
      extracted += (i == 0 ? "" : " | ") + score.extracted;
      if (score.grade == Grade::kCorrect) continue;
      score.explanation = "Turn " + std::to_string(i + 1) + ": " + score.explanation;
      break;
    }
    score.extracted = printable(extracted);
    return score;
  }

 private:
  static std::vector<std::string> kinds(const ParameterReader& reader) {
    const auto asked = reader.choices("kinds", {"quick", "quality", "coding"});
    return instructed(reader) ? asked : std::vector<std::string>{"bare"};
  }
  static bool instructed(const ParameterReader& reader) {
    return reader.choice("style", {"bare", "instructed"}) == "instructed";
  }
  static CommonParameters common_of(const ParameterReader& reader) {
    const CommonParameters common = common_parameters(reader);
    if (instructed(reader)) {
      const int64_t least = common.thinking ? kInstructedTokensThinking : kInstructedTokens;
      reader.integer("max_tokens", {least, kMaxAnswerTokens, "tokens"});
    }
    return common;
  }
};

}  // namespace

const Suite& smoke_suite() {
  static const Smoke suite;
  return suite;
}

}  // namespace ds4::suites

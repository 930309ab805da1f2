// The garble suite: the same prompts again and again, in a row and in turn. Each answer is judged
// by the features of garbled text; whether repeats agree is seen on reading.
#include <nlohmann/json.hpp>

#include "suites/common/answers.h"
#include "suites/common/filler_prompt.h"
#include "suites/common/garble.h"
#include "suites/common/parameters.h"
#include "suites/common/rng.h"
#include "suites/registry.h"

namespace ds4::suites {

extern const std::string_view garble_toml;

namespace {

constexpr int64_t kMostPrompts = 1000;

class Garble final : public Suite {
 public:
  std::string_view name() const override { return "garble"; }
  std::string_view toml() const override { return garble_toml; }

  std::vector<CaseSpec> plan(const Parameters& parameters) const override {
    const ParameterReader reader(name(), parameters);
    const CommonParameters common = common_parameters(reader);
    const auto orders = reader.choices("orders", {"in_a_row", "in_turn"});
    const auto lengths = reader.integers("lengths", {96, 4194304, "tokens"});
    const auto prompts =
        reader.integers_for("prompts", {1, kMostPrompts, "prompts"}, "lengths", lengths.size());
    const int64_t repeats = reader.integer("repeats", {2, kMostPrompts, "times"});
    std::vector<CaseSpec> cases;
    for (const std::string& order : orders) {
      for (size_t l = 0; l < lengths.size(); ++l) {
        for (int64_t i = 0; i < prompts[l] * repeats; ++i) {
          const bool in_a_row = order == "in_a_row";
          const int64_t prompt = in_a_row ? i / repeats : i % prompts[l];
          const int64_t repeat = in_a_row ? i % repeats : i / prompts[l];
          CaseSpec spec;
          spec.tags = {{"length", std::to_string(lengths[l])}, {"order", order}};
          const std::string group = order + "/" + spec.tags["length"];
          spec.id = group + "/" + numbered_id(prompt) + "/" + numbered_id(repeat);
          spec.seed = case_seed(name(), common.seed, spec.id);
          spec.load = {group, 1, 0};
          cases.push_back(std::move(spec));
        }
      }
    }
    return cases;
  }

  Case build(const Parameters& parameters, const CaseSpec& spec,
             const TokenCounter& counter) const override {
    const CommonParameters common = common_parameters(ParameterReader(name(), parameters));
    // Of the prompt, not of the repeat.
    const uint64_t seed = case_seed(name(), common.seed, spec.id.substr(0, spec.id.rfind('/')));
    Case out;
    out.spec = spec;
    out.conversation =
        filler_prompt(seed, std::stoll(spec.tags.at("length")), common.thinking, counter)
            .conversation;
    out.limits.max_tokens = common.max_tokens;
    out.expected = nlohmann::json{{"prompt", out.conversation.messages.back().content}}.dump();
    return out;
  }

  Score score(std::string_view expected, const Answer& answer) const override {
    const std::string prompt = nlohmann::json::parse(expected).at("prompt");
    std::string words = answer.reasoning;
    words.append(words.empty() ? "" : "\n").append(visible_answer(answer));
    const GarbleValues values =
        garble_values({prompt, words, 0, was_cut(answer), !answer.tool_calls.empty()});
    const std::string reason = garble_reason(values);
    Score score;
    if (trim(words).empty()) {
      if (was_cut(answer)) return invalid_score(answer, "anything could be read");
      score.explanation = "There is nothing to read.";
    } else {
      score.explanation = reason.empty() ? "No feature is beyond its bound."
                                         : "It is garbled: " + printable(reason) + ".";
    }
    const bool readable = reason.empty() && !trim(words).empty();
    score.grade = readable ? Grade::kCorrect : Grade::kWrong;
    score.values = {{"readable", as_value(readable)}};
    score.extracted = printable(trim(words), 80);
    return score;
  }
};

}  // namespace

const Suite& garble_suite() {
  static const Garble suite;
  return suite;
}

}  // namespace ds4::suites

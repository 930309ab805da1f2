// The speculation suite: texts of several kinds, to be gone on with for an exact number of tokens.
// It knows of no drafts: a sweep asks it with and without them, and the reports hold the two apart.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/check.h"
#include "engine/base/error.h"
#include "suites/common/answers.h"
#include "suites/common/conversation.h"
#include "suites/common/parameters.h"
#include "suites/common/rng.h"
#include "suites/common/text_pools.h"
#include "suites/needle/phrases.h"
#include "suites/registry.h"

namespace ds4::suites {

extern const std::string_view speculation_toml;
extern const std::string_view speculation_families_json;

namespace {

struct Family {
  std::string question;
  std::vector<std::string> lines;  // templates
};

const Family& family_named(const std::string& name) {
  static const auto families = [] {
    std::map<std::string, Family> out;
    const auto json = nlohmann::json::parse(speculation_families_json);
    for (const auto& [key, value] : json.items()) {
      out[key] = {value.at("question"), value.at("lines")};
    }
    return out;
  }();
  const auto found = families.find(name);
  DS4_CHECK(found != families.end(), name);
  return found->second;
}

// The longest prompt of at most `tokens`: lines are whole, so that it is a few tokens short.
Conversation sized_prompt(const Family& family, int64_t tokens, bool thinking, Rng& rng,
                          const TokenCounter& counter) {
  const std::string opening = random_opening(rng);
  std::vector<std::string> lines;
  const auto with_lines = [&](size_t n) {
    while (lines.size() < n) {
      const Bindings bound = {{"number", std::to_string(lines.size() + 1)}};
      lines.push_back(fill_template(rng.pick(family.lines), bound, rng));
    }
    std::string text = opening;
    for (size_t i = 0; i < n; ++i) text.append(lines[i]).append("\n");
    return ask(text + "\n" + family.question, thinking);
  };
  const auto fits = [&](size_t n) { return counter.count(with_lines(n)) <= tokens; };
  if (!fits(1)) {
    throw Error(ErrorCode::kProfile,
                "suite `speculation`: `lengths`: a prompt of " + std::to_string(tokens) +
                    " tokens has no room for a line",
                "Use " + std::to_string(counter.count(with_lines(1)) + 16) + " or more.");
  }
  size_t low = 1, high = 2;
  while (fits(high)) low = std::exchange(high, 2 * high);
  while (high - low > 1) {
    const size_t middle = low + (high - low) / 2;
    (fits(middle) ? low : high) = middle;
  }
  return with_lines(low);
}

class Speculation final : public Suite {
 public:
  std::string_view name() const override { return "speculation"; }
  std::string_view toml() const override { return speculation_toml; }

  std::vector<CaseSpec> plan(const Parameters& parameters) const override {
    const ParameterReader reader(name(), parameters);
    const CommonParameters common = read_common(reader);
    const auto families = reader.choices("families", {"code", "prose", "lists", "copy", "random"});
    const auto lengths = reader.integers("lengths", {96, 4194304, "tokens"});
    const auto samples = reader.integers_for("samples", {1, kMaxNumberedCases, "prompts"},
                                             "lengths", lengths.size());
    std::vector<CaseSpec> cases;
    for (size_t l = 0; l < lengths.size(); ++l) {
      for (const std::string& family : families) {
        for (int64_t i = 0; i < samples[l]; ++i) {
          CaseSpec spec;
          spec.tags = {{"length", std::to_string(lengths[l])}, {"family", family}};
          spec.id = spec.tags["length"] + "/" + family + "/" + numbered_id(i);
          spec.seed = case_seed(name(), common.seed, spec.id);
          cases.push_back(std::move(spec));
        }
      }
    }
    return cases;
  }

  Case build(const Parameters& parameters, const CaseSpec& spec,
             const TokenCounter& counter) const override {
    const CommonParameters common = read_common(ParameterReader(name(), parameters));
    Rng rng(spec.seed);
    Case out;
    out.spec = spec;
    out.conversation =
        sized_prompt(family_named(spec.tags.at("family")), std::stoll(spec.tags.at("length")),
                     common.thinking, rng, counter);
    out.limits.max_tokens = common.max_tokens;
    out.limits.ignore_end = true;
    out.cold = true;
    out.expected = nlohmann::json{{"answer_tokens", common.max_tokens}}.dump();
    return out;
  }

  Score score(std::string_view expected, const Answer& answer) const override {
    const int64_t tokens = nlohmann::json::parse(expected).at("answer_tokens");
    Score score;
    score.grade = was_cut(answer) ? Grade::kCorrect : Grade::kWrong;
    score.values = {{"complete", as_value(was_cut(answer))}};
    score.extracted = answer.finish_reason;
    score.explanation = was_cut(answer)
                            ? "The answer has its " + std::to_string(tokens) + " tokens."
                            : "The answer ended before " + std::to_string(tokens) +
                                  " tokens: " + printable(answer.finish_reason) + ".";
    return score;
  }

 private:
  static CommonParameters read_common(const ParameterReader& reader) {
    reader.integer("max_tokens", {2, 4194304, "tokens"});
    return common_parameters(reader);
  }
};

}  // namespace

const Suite& speculation_suite() {
  static const Speculation suite;
  return suite;
}

}  // namespace ds4::suites

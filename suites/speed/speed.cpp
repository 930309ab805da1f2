// The speed suite: texts of exact length to be gone on with, for an exact number of tokens.
#include <nlohmann/json.hpp>

#include "suites/common/complete.h"
#include "suites/common/filler_prompt.h"
#include "suites/common/parameters.h"
#include "suites/common/rng.h"
#include "suites/registry.h"

namespace ds4::suites {

extern const std::string_view speed_toml;

namespace {

class Speed final : public Suite {
 public:
  std::string_view name() const override { return "speed"; }
  std::string_view toml() const override { return speed_toml; }

  std::vector<CaseSpec> plan(const Parameters& parameters) const override {
    const ParameterReader reader(name(), parameters);
    const CommonParameters common = common_parameters(reader);
    const auto lengths = reader.integers("lengths", {96, 4194304, "tokens"});
    const auto samples =
        reader.integers_for("samples", {1, kMaxNumberedCases, "cases"}, "lengths", lengths.size());
    std::vector<CaseSpec> cases;
    for (size_t l = 0; l < lengths.size(); ++l) {
      for (int64_t i = 0; i < samples[l]; ++i) {
        CaseSpec spec;
        spec.tags = {{"length", std::to_string(lengths[l])}};
        spec.id = spec.tags["length"] + "/" + numbered_id(i);
        spec.seed = case_seed(name(), common.seed, spec.id);
        cases.push_back(std::move(spec));
      }
    }
    return cases;
  }

  Case build(const Parameters& parameters, const CaseSpec& spec,
             const TokenCounter& counter) const override {
    const CommonParameters common = common_parameters(ParameterReader(name(), parameters));
    const int64_t tokens = std::stoll(spec.tags.at("length"));
    Haystack haystack = filler_prompt(spec.seed, tokens, common.thinking, counter);
    Case out;
    out.spec = spec;
    out.conversation = std::move(haystack.conversation);
    out.limits.max_tokens = common.max_tokens;
    out.limits.ignore_end = true;
    out.cold = true;
    out.expected = nlohmann::json{{"asked_tokens", tokens},
                                  {"counted_tokens", haystack.tokens},
                                  {"answer_tokens", common.max_tokens}}
                       .dump();
    return out;
  }

  Score score(std::string_view expected, const Answer& answer) const override {
    const int64_t tokens = nlohmann::json::parse(expected).at("answer_tokens");
    return complete_score(answer, tokens);
  }
};

}  // namespace

const Suite& speed_suite() {
  static const Speed suite;
  return suite;
}

}  // namespace ds4::suites

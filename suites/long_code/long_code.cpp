// The long-code suite: a file of small functions, at most one of them off by one.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "suites/common/answers.h"
#include "suites/common/conversation.h"
#include "suites/common/depth.h"
#include "suites/common/parameters.h"
#include "suites/common/rng.h"
#include "suites/long_code/functions.h"
#include "suites/long_code/verdict.h"
#include "suites/registry.h"

namespace ds4::suites {

extern const std::string_view long_code_toml;

namespace {

constexpr int kMaxCounts = 8;  // of a whole prompt while its number of functions is sought

struct LongCodeParameters {
  std::vector<int64_t> lengths;
  std::vector<std::string> kinds, languages;
  std::vector<double> depths;
  int64_t samples = 0;
  bool instructed = false;
  CommonParameters common;
};

LongCodeParameters read(const Parameters& parameters) {
  const ParameterReader reader("long_code", parameters);
  LongCodeParameters out;
  out.lengths = reader.integers("lengths", {0, 4194304, "tokens"});
  out.kinds = reader.choices("kinds", defect_names());
  out.depths = reader.reals("depths", {0, 1, ""});
  out.languages = reader.choices("languages", code_languages());
  out.samples = reader.integer("samples", {1, kMaxNumberedCases, "cases"});
  out.instructed = reader.choice("style", {"bare", "instructed"}) == "instructed";
  out.common = common_parameters(reader);
  return out;
}

// One case's file, as a function of the number of functions in it.
class CodeFile {
 public:
  CodeFile(const LongCodeParameters& parameters, const CaseSpec& spec, double depth)
      : parameters_(parameters), spec_(spec), depth_(depth), rng_(spec.seed) {}

  // `count` = 0: one function without a number.
  Conversation conversation(int64_t count, std::string* planted) const {
    const Defect defect = defect_from_name(spec_.tags.at("kind"));
    const auto place = std::llround(depth_ * static_cast<double>(std::max<int64_t>(count - 1, 0)));
    Rng frame = rng_.stream(0);
    std::string text = parameters_.instructed ? instructed_question(std::max<int64_t>(count, 1))
                                              : frame.pick(code_questions());
    text += "\n";
    for (int64_t i = 0; i < std::max<int64_t>(count, 1); ++i) {
      Rng rng = rng_.stream(static_cast<uint64_t>(i) + 1);
      const Function function =
          random_function(rng, spec_.tags.at("language"), i == place ? defect : Defect::kNone,
                          count == 0 ? 0 : i + 1);
      if (i > 0) text += text.ends_with('\n') ? "\n" : "\n\n";
      text += function.source;
      if (i == place) *planted = function.name;
    }
    if (parameters_.instructed) text += "\n" + instructed_answer();
    return ask(std::move(text), parameters_.common.thinking);
  }

  // The most functions whose prompt stays within `length` tokens, found by interpolation.
  int64_t functions_for(int64_t length, const TokenCounter& counter) const {
    std::string unused;
    const auto tokens = [&](int64_t count) { return counter.count(conversation(count, &unused)); };
    int64_t fits = 1, fits_tokens = tokens(1);
    if (fits_tokens > length) {
      throw Error(ErrorCode::kProfile,
                  "suite `long_code`: `lengths`: one function takes " +
                      std::to_string(fits_tokens) + " tokens, " + std::to_string(length) +
                      " are given",
                  "Use " + std::to_string(fits_tokens) + " or more, or 0 for one function alone.");
    }
    int64_t exceeds = -1;
    double per_function = static_cast<double>(tokens(17) - fits_tokens) / 16;
    for (int i = 0; i < kMaxCounts && exceeds != fits + 1; ++i) {
      const auto more = static_cast<int64_t>(static_cast<double>(length - fits_tokens) /
                                             std::max(per_function, 1.0));
      int64_t next = fits + std::max<int64_t>(more, 1);
      if (exceeds > 0) next = std::min(next, exceeds - 1);
      const int64_t next_tokens = tokens(next);
      if (next_tokens > length) {
        exceeds = next;
        per_function =
            static_cast<double>(next_tokens - fits_tokens) / static_cast<double>(next - fits);
      } else {
        fits = next;
        fits_tokens = next_tokens;
      }
    }
    return fits;
  }

 private:
  const LongCodeParameters& parameters_;
  const CaseSpec& spec_;
  double depth_;
  Rng rng_;
};

class LongCode final : public Suite {
 public:
  std::string_view name() const override { return "long_code"; }
  std::string_view toml() const override { return long_code_toml; }

  std::vector<CaseSpec> plan(const Parameters& parameters) const override {
    const LongCodeParameters p = read(parameters);
    std::vector<CaseSpec> cases;
    for (int64_t length : p.lengths) {
      for (const std::string& kind : p.kinds) {
        for (int64_t i = 0; i < p.samples; ++i) {
          const auto turn = static_cast<size_t>(i);
          CaseSpec spec;
          spec.id = std::to_string(length) + "/" + kind + "/" + numbered_id(i);
          spec.tags = {{"length", std::to_string(length)},
                       {"kind", kind},
                       {"language", p.languages[turn % p.languages.size()]}};
          if (length > 0) {
            const double depth = p.depths[turn / p.languages.size() % p.depths.size()];
            spec.tags["depth"] = depth_name(depth);
          }
          spec.seed = case_seed(name(), p.common.seed, spec.id);
          cases.push_back(std::move(spec));
        }
      }
    }
    return cases;
  }

  Case build(const Parameters& parameters, const CaseSpec& spec,
             const TokenCounter& counter) const override {
    const LongCodeParameters p = read(parameters);
    const int64_t length = std::stoll(spec.tags.at("length"));
    const CodeFile file(p, spec, length == 0 ? 0 : depth_value(spec.tags.at("depth")));
    const int64_t count = length == 0 ? 0 : file.functions_for(length, counter);
    Case out;
    out.spec = spec;
    std::string planted;
    out.conversation = file.conversation(count, &planted);
    out.limits.max_tokens = p.common.max_tokens;
    const std::string& kind = spec.tags.at("kind");
    out.expected = nlohmann::json{{"kind", kind},
                                  {"function", kind == "none" ? "" : planted},
                                  {"functions", std::max<int64_t>(count, 1)}}
                       .dump();
    return out;
  }

  Score score(std::string_view expected, const Answer& answer) const override {
    const auto json = nlohmann::json::parse(expected);
    const std::string function = json.at("function");
    const Defect defect = defect_from_name(json.at("kind"));
    const std::string_view text = visible_answer(answer);
    const ReviewClaims review = read_review(text);
    if (was_cut(answer) && !review.past_end && !review.skips_first && !review.clean) {
      return invalid_score(answer, "the review said what is wrong");
    }
    Score score;
    std::string named;
    for (const std::string& name : review.functions) named += (named.empty() ? "" : ", ") + name;
    score.extracted = printable((named.empty() ? "no function" : named) + "; " + claimed(review));
    bool correct = false;
    if (defect == Defect::kNone) {
      correct = review.clean;
      score.values = {{"control", as_value(correct)}};
      score.explanation = correct ? "The file is clean and the answer says so."
                                  : "The file is clean; the answer claims " + claimed(review) + ".";
    } else {
      const bool localised = review.functions == std::set<std::string>{function};
      const bool kind = review.past_end == (defect == Defect::kPastEnd) &&
                        review.skips_first == (defect == Defect::kSkipsFirst);
      correct = localised && kind;
      score.values = {{"localised", as_value(localised)},
                      {"kind", as_value(kind)},
                      {"mentions", as_value(review.mentions)}};
      score.explanation =
          "Planted: " + json.at("kind").get<std::string>() + " in " + function + "; the answer " +
          (localised ? "names it" : "names " + (named.empty() ? "no function" : printable(named))) +
          " and claims " + claimed(review) + ".";
    }
    score.values["correct"] = as_value(correct);
    score.grade = correct ? Grade::kCorrect : Grade::kWrong;
    return score;
  }

 private:
  static std::string claimed(const ReviewClaims& review) {
    if (review.clean) return "that there is no error";
    if (review.past_end && review.skips_first) return "both kinds of error";
    if (review.past_end) return "past_end";
    if (review.skips_first) return "skips_first";
    return review.mentions ? "an off-by-one error of no stated kind" : "nothing recognisable";
  }
};

}  // namespace

const Suite& long_code_suite() {
  static const LongCode suite;
  return suite;
}

}  // namespace ds4::suites

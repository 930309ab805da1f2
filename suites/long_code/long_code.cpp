// The long-code suite: many small functions, at most one line of them off by one.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "suites/common/answers.h"
#include "suites/common/calibration.h"
#include "suites/common/conversation.h"
#include "suites/common/depth.h"
#include "suites/common/most_units.h"
#include "suites/common/parameters.h"
#include "suites/common/rng.h"
#include "suites/long_code/files.h"
#include "suites/long_code/functions.h"
#include "suites/long_code/verdict.h"
#include "suites/registry.h"

namespace ds4::suites {

extern const std::string_view long_code_toml;

namespace {

constexpr int64_t kSampleFunctions = 17;  // that tell what one more takes
constexpr int64_t kSampleShare = 8;       // of a long text that is asked about, one part
constexpr int kBareDefects = 3;           // the first kinds, which single functions can have

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
  for (const std::string& kind : out.kinds) {
    if (out.instructed || static_cast<int>(defect_from_name(kind)) < kBareDefects) continue;
    throw Error(ErrorCode::kProfile,
                "suite `long_code`: `kinds` lists \"" + kind +
                    "\", which the functions of `style` \"bare\" cannot have",
                "Use style = \"instructed\", or leave it out.");
  }
  return out;
}

// Where the error was planted; empty for a clean file.
struct Planted {
  std::string file, function;
  int64_t line = 0;
};

// One case's code, as a function of the number of functions in it.
class Code {
 public:
  Code(const LongCodeParameters& parameters, const CaseSpec& spec, double depth)
      : parameters_(parameters), spec_(spec), depth_(depth), rng_(spec.seed) {}

  // `count` = 0: one function alone.
  Conversation conversation(int64_t count, Planted* planted) const {
    const Defect defect = defect_from_name(spec_.tags.at("kind"));
    const auto place = std::llround(depth_ * static_cast<double>(std::max<int64_t>(count - 1, 0)));
    std::string text = parameters_.instructed ? files(count, place, defect, planted)
                                              : functions(count, place, defect, planted);
    if (defect == Defect::kNone) *planted = {};
    return ask(std::move(text), parameters_.common.thinking);
  }

  // The most functions whose prompt stays within `length` tokens.
  int64_t functions_for(int64_t length, const TokenCounter& counter) const {
    const TokenCounter right = calibrated(
        counter, length, std::max(kWholeSample, length / kSampleShare),
        [&](int64_t tokens, const TokenCounter& estimate) {
          Planted unused;
          return conversation(tokens == 0 ? 1 : counted_functions(tokens, estimate), &unused);
        });
    return counted_functions(length, right);
  }

 private:
  int64_t counted_functions(int64_t length, const TokenCounter& counter) const {
    Planted unused;
    const auto tokens = [&](int64_t count) { return counter.count(conversation(count, &unused)); };
    const int64_t one = tokens(1);
    if (one > length) {
      throw Error(ErrorCode::kProfile,
                  "suite `long_code`: `lengths`: one function takes " + std::to_string(one) +
                      " tokens, " + std::to_string(length) + " are given",
                  "Use " + std::to_string(one) + " or more, or 0 for one function alone.");
    }
    const double each = static_cast<double>(tokens(kSampleFunctions) - one) /
                        static_cast<double>(kSampleFunctions - 1);
    return most_units(length, {1, one}, std::max(each, 1.0), tokens).units;
  }

  // Numbered files, and four labelled lines asked for.
  std::string files(int64_t count, int64_t place, Defect defect, Planted* planted) const {
    count = std::max<int64_t>(count, 1);
    SourceFiles made = source_files(rng_, spec_.tags.at("language"), count, place, defect);
    *planted = {made.file, made.function, made.line};
    return files_question(made.files, count) + made.text + files_answer();
  }

  // Functions behind a short question, as the default checkpoint was trained.
  std::string functions(int64_t count, int64_t place, Defect defect, Planted* planted) const {
    Rng frame = rng_.stream(0);
    std::string text = frame.pick(code_questions()) + "\n";
    for (int64_t i = 0; i < std::max<int64_t>(count, 1); ++i) {
      Rng rng = rng_.stream(static_cast<uint64_t>(i) + 1);
      const Function function =
          random_function(rng, spec_.tags.at("language"), i == place ? defect : Defect::kNone,
                          count == 0 ? 0 : i + 1);
      if (i > 0) text += text.ends_with('\n') ? "\n" : "\n\n";
      text += function.source;
      if (i == place) planted->function = function.name;
    }
    return text;
  }

  const LongCodeParameters& parameters_;
  const CaseSpec& spec_;
  double depth_;
  Rng rng_;
};

std::string listed(const std::set<std::string>& names, const char* none) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out.empty() ? none : printable(out);
}

std::string claimed(const ReviewClaims& review) {
  if (review.clean) return "that there is no error";
  if (!review.kinds.empty()) return listed(review.kinds, "");
  return review.mentions ? "an off-by-one error of no stated kind" : "nothing recognisable";
}

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
    const Code code(p, spec, length == 0 ? 0 : depth_value(spec.tags.at("depth")));
    const int64_t count = length == 0 ? 0 : code.functions_for(length, counter);
    Case out;
    out.spec = spec;
    Planted planted;
    out.conversation = code.conversation(count, &planted);
    out.limits.max_tokens = p.common.max_tokens;
    out.expected = nlohmann::json{{"kind", spec.tags.at("kind")},
                                  {"file", planted.file},
                                  {"function", planted.function},
                                  {"line", planted.line},
                                  {"functions", std::max<int64_t>(count, 1)}}
                       .dump();
    return out;
  }

  Score score(std::string_view expected, const Answer& answer) const override {
    const auto json = nlohmann::json::parse(expected);
    const std::string kind = json.at("kind");
    const ReviewClaims review = read_review(visible_answer(answer));
    if (was_cut(answer) && review.kinds.empty() && !review.clean) {
      return invalid_score(answer, "the review said what is wrong");
    }
    Score score;
    const std::string named = listed(review.functions, "no function");
    score.extracted = named + "; " + claimed(review);
    bool correct = false;
    if (defect_from_name(kind) == Defect::kNone) {
      correct = review.clean;
      score.values = {{"control", as_value(correct)}};
      score.explanation = correct ? "The code is clean and the answer says so."
                                  : "The code is clean; the answer claims " + claimed(review) + ".";
    } else {
      correct = grade_planted(json, kind, review, score);
      score.explanation = "Planted: " + kind + " in " + place_of(json) + "; the answer names " +
                          named + lines_named(review) + " and claims " + claimed(review) + ".";
    }
    score.values["correct"] = as_value(correct);
    score.grade = correct ? Grade::kCorrect : Grade::kWrong;
    return score;
  }

 private:
  // Single functions have neither file nor line; version 1 had none at all.
  static bool grade_planted(const nlohmann::json& json, const std::string& kind,
                            const ReviewClaims& review, Score& score) {
    const std::string file = json.value("file", "");
    const bool localized = review.functions == std::set<std::string>{json.at("function")} &&
                           (file.empty() || review.files == std::set<std::string>{file});
    const bool right_kind = review.kinds == std::set<std::string>{kind};
    score.values = {{"localized", as_value(localized)},
                    {"kind", as_value(right_kind)},
                    {"mentions_off_by_one", as_value(review.mentions)}};
    if (const int64_t line = json.value("line", int64_t{0}); line > 0) {
      score.values["line_exact"] = as_value(localized && review.lines == std::set<int64_t>{line});
    }
    return localized && right_kind;
  }

  static std::string place_of(const nlohmann::json& json) {
    const std::string function = json.at("function");
    if (json.value("file", "").empty()) return function;
    return json.at("file").get<std::string>() + ", " + function + ", line " +
           std::to_string(json.at("line").get<int64_t>());
  }

  static std::string lines_named(const ReviewClaims& review) {
    if (review.lines.empty()) return "";
    return review.lines.size() > 1 ? ", several lines"
                                   : ", line " + std::to_string(*review.lines.begin());
  }
};

}  // namespace

const Suite& long_code_suite() {
  static const LongCode suite;
  return suite;
}

}  // namespace ds4::suites

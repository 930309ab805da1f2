// The needle suite: one fact in a long text, asked for at the end.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "suites/common/answers.h"
#include "suites/common/depth.h"
#include "suites/common/parameters.h"
#include "suites/common/rng.h"
#include "suites/needle/codes.h"
#include "suites/needle/haystack.h"
#include "suites/needle/phrases.h"
#include "suites/registry.h"

namespace ds4::suites {

extern const std::string_view needle_toml;

namespace {

constexpr int64_t kResidueBase =
    4;  // compression ratio of the finer attention layers (model.md 3.5)

struct NeedleParameters {
  std::vector<int64_t> lengths, residues, samples;
  std::vector<double> depths;
  std::vector<std::string> variants;
  int64_t facts = 0, value_length = 0;
  bool instructed = false;
  CommonParameters common;
};

NeedleParameters read(const Parameters& parameters) {
  const ParameterReader reader("needle", parameters);
  NeedleParameters out;
  out.lengths = reader.integers("lengths", {96, 4194304, "tokens"});
  out.residues = reader.integers("residues", {0, kResidueBase - 1, ""});
  out.samples = reader.integers_for("samples", {1, kMaxNumberedCases, "cases"}, "lengths",
                                    out.lengths.size());
  out.depths = reader.reals("depths", {0, 1, ""});
  out.variants = reader.choices("variants", {"distractors", "single", "digits"});
  out.facts = reader.integer("facts", {2, 64, "facts"});
  out.value_length = reader.integer("value_length", {4, 32, "characters"});
  out.instructed = reader.choice("style", {"bare", "instructed"}) == "instructed";
  out.common = common_parameters(reader);
  return out;
}

std::string edits(int64_t count) {
  return std::to_string(count) + (count == 1 ? " edit" : " edits");
}

class Needle final : public Suite {
 public:
  std::string_view name() const override { return "needle"; }
  std::string_view toml() const override { return needle_toml; }

  std::vector<CaseSpec> plan(const Parameters& parameters) const override {
    const NeedleParameters p = read(parameters);
    const auto depths = static_cast<int64_t>(p.depths.size());
    const auto residues = static_cast<int64_t>(p.residues.size());
    std::vector<CaseSpec> cases;
    for (size_t l = 0; l < p.lengths.size(); ++l) {
      for (const std::string& variant : p.variants) {
        for (int64_t k = 0; k < p.samples[l]; ++k) {
          // Walks the grid of depths and residues along its diagonals, so that any number of
          // samples is spread evenly over both.
          const int64_t cell = k % (depths * residues);
          const int64_t shift = cell / std::lcm(depths, residues);
          const auto d = static_cast<size_t>(cell % depths);
          const auto r = static_cast<size_t>((cell + shift) % residues);
          CaseSpec spec;
          spec.tags = {{"length", std::to_string(p.lengths[l])},
                       {"depth", depth_name(p.depths[d])},
                       {"residue", std::to_string(p.residues[r])},
                       {"variant", variant}};
          spec.id = spec.tags["length"] + "/d" + spec.tags["depth"] + "/r" + spec.tags["residue"] +
                    "/" + variant + "/s" + std::to_string(k / (depths * residues));
          spec.seed = case_seed(name(), p.common.seed, spec.id);
          cases.push_back(std::move(spec));
        }
      }
    }
    return cases;
  }

  Case build(const Parameters& parameters, const CaseSpec& spec,
             const TokenCounter& counter) const override {
    const NeedleParameters p = read(parameters);
    const int64_t length = std::stoll(spec.tags.at("length"));
    const int64_t residue = std::stoll(spec.tags.at("residue"));
    const std::string& variant = spec.tags.at("variant");
    Rng rng(spec.seed);

    HaystackRequest request;
    request.opening = random_opening(rng);
    const std::vector<Fact> facts =
        random_facts(rng, variant == "single" ? 1 : p.facts, p.value_length, variant == "digits");
    request.fact = facts[0].statement;
    request.question = facts[0].question + (p.instructed ? answer_instruction() : "");
    nlohmann::json expected = {{"value", facts[0].value}, {"others", nlohmann::json::array()}};
    for (size_t i = 1; i < facts.size(); ++i) {
      request.other_facts.push_back(facts[i].statement);
      expected["others"].push_back(facts[i].value);
    }
    request.tokens = length - (length - residue) % kResidueBase;
    request.depth = depth_value(spec.tags.at("depth"));
    request.thinking = p.common.thinking;
    request.seed = rng.next();
    Haystack haystack = build_haystack(request, counter);

    expected["asked_tokens"] = request.tokens;
    expected["counted_tokens"] = haystack.tokens;
    expected["fact_depth"] = haystack.fact_depth;
    Case out;
    out.spec = spec;
    out.conversation = std::move(haystack.conversation);
    out.limits.max_tokens = p.common.max_tokens;
    out.expected = expected.dump();
    // Short digits are too easily met by chance.
    if (p.value_length >= (variant == "digits" ? 10 : 6)) {
      for (const Fact& fact : facts) out.canaries.push_back(fact.value);
    }
    return out;
  }

  Score score(std::string_view expected, const Answer& answer) const override {
    const auto json = nlohmann::json::parse(expected);
    const std::string value = json.at("value");
    const std::string_view text = visible_answer(answer);
    const CodeMatch match = match_code(text, value, json.at("others"));
    using Kind = CodeMatch::Kind;
    const bool open = match.kind == Kind::kAbsent || (match.kind != Kind::kExact && match.at_end);
    if (was_cut(answer) && open) return invalid_score(answer, "a value was given");

    Score score;
    score.grade = match.kind == Kind::kExact ? Grade::kCorrect : Grade::kWrong;
    score.values = {{"exact", as_value(match.kind == Kind::kExact)},
                    {"near_miss", as_value(match.kind == Kind::kNearMiss)},
                    {"confused", as_value(match.kind == Kind::kConfused)},
                    {"absent", as_value(match.kind == Kind::kAbsent)}};
    score.extracted = match.found;
    switch (match.kind) {
      case Kind::kExact:
        score.explanation = "The answer gives " + value + " and no other fact's value.";
        break;
      case Kind::kNearMiss:
        score.explanation = "The nearest value in the answer, " + match.found + ", is " +
                            edits(match.distance) + " away from " + value + ".";
        break;
      case Kind::kConfused:
        score.explanation = "The answer gives " + match.found + ", the value of another fact; " +
                            value + " was asked.";
        break;
      case Kind::kAbsent:
        score.explanation = trim(text).empty()
                                ? "The answer is empty."
                                : "No token of the answer is within " +
                                      edits(near_miss_limit(value)) + " of " + value + ".";
        break;
    }
    return score;
  }
};

}  // namespace

const Suite& needle_suite() {
  static const Needle suite;
  return suite;
}

}  // namespace ds4::suites

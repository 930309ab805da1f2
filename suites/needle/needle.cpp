// The needle suite: facts in a long text, asked for at the end.
#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numeric>

#include "suites/common/depth.h"
#include "suites/common/rng.h"
#include "suites/needle/challenge.h"
#include "suites/needle/grading.h"
#include "suites/needle/haystack.h"
#include "suites/needle/phrases.h"
#include "suites/needle/repeated.h"
#include "suites/needle/settings.h"
#include "suites/registry.h"

namespace ds4::suites {

extern const std::string_view needle_toml;

namespace {

constexpr int64_t kUnguessableCharacters = 6;  // of 32 kinds
constexpr int64_t kUnguessableDigits = 7;

// Cases of one length, variant, filler and number of streams.
struct Rung {
  int64_t length = 0;
  std::string variant, filler;
  int64_t streams = 0;
};

// Case k: walks the grid of depths and residues along its diagonals, so that any number of samples
// is spread evenly over both.
CaseSpec rung_case(const NeedleSettings& p, const Rung& rung, int64_t k) {
  const auto depths = std::ssize(p.depths), residues = std::ssize(p.residues);
  const int64_t cell = k % (depths * residues);
  const int64_t shift = cell / std::lcm(depths, residues);
  const std::string depth = depth_name(p.depths[static_cast<size_t>(cell % depths)]);
  const int64_t residue = p.residues[static_cast<size_t>((cell + shift) % residues)];
  const int64_t tokens = tokens_with_residue(rung.length, residue, p.modulus);
  CaseSpec spec;
  spec.tags = {{"length", std::to_string(rung.length)},
               {"depth", depth},
               {"residue", std::to_string(tokens % kFineRatio)},
               {"residue128", std::to_string(tokens % kCoarseRatio)},
               {"variant", rung.variant},
               {"filler", rung.filler}};
  spec.id = spec.tags["length"] + "/d" + depth + "/r" + std::to_string(residue) +
            (p.modulus == kFineRatio ? "/" : "of" + std::to_string(p.modulus) + "/") + rung.variant;
  if (rung.filler == filler_name(Filler::kProse) && !is_published(rung.variant)) {
    spec.id += "-" + rung.filler;
  }
  spec.id += "/s" + std::to_string(k / (depths * residues));
  if (rung.streams > 0) {
    const std::string streams = std::to_string(rung.streams);
    spec.tags["streams"] = streams;
    spec.id += "/x" + streams;
    // So many requests that begin together.
    spec.load = {std::to_string(rung.length) + "/" + rung.variant + "-" + rung.filler + "/x" +
                     streams + "/" + std::to_string(k / rung.streams),
                 rung.streams, 0};
  }
  spec.seed = case_seed("needle", p.common.seed, spec.id);
  return spec;
}

Challenge own_challenge(const NeedleSettings& p, const CaseSpec& spec, Rng& rng) {
  const std::string& variant = spec.tags.at("variant");
  Challenge out;
  out.opening = random_opening(rng);
  const std::vector<Fact> facts =
      random_facts(rng, variant == "single" ? 1 : p.facts, p.value_length, variant == "digits");
  for (size_t i = 0; i < facts.size(); ++i) {
    out.statements.push_back(facts[i].statement);
    (i == 0 ? out.wanted : out.others).push_back(facts[i].value);
  }
  out.closing = "\n\n" + facts[0].question + (p.instructed ? answer_instruction() : "");
  if (spec.tags.at("filler") == filler_name(Filler::kProse)) out.filler = Filler::kProse;
  out.salted = true;
  return out;
}

Haystack hide(const Challenge& challenge, int64_t tokens, double depth, bool thinking,
              uint64_t seed, const TokenCounter& counter) {
  if (has_numbered_lines(challenge)) {
    RepeatedRequest request;
    request.opening = challenge.opening;
    request.line = [&](int64_t number) { return numbered_line(challenge, number); };
    request.fact = challenge.statements.at(0);
    request.splits_lines = challenge.filler == Filler::kBlocks;
    request.closing = challenge.closing;
    request.tokens = tokens;
    request.depth = depth;
    request.thinking = thinking;
    return build_repeated(request, counter);
  }
  HaystackRequest request;
  request.opening = challenge.opening;
  request.fact = challenge.statements.at(0);
  request.other_facts.assign(challenge.statements.begin() + 1, challenge.statements.end());
  request.closing = challenge.closing;
  if (challenge.flowing) request.joiner = " ";
  request.prose = challenge.filler == Filler::kProse;
  request.tokens = tokens;
  request.depth = depth;
  request.thinking = thinking;
  request.seed = seed;
  return build_haystack(request, counter);
}

bool unguessable(const std::string& value) {
  const bool digits = value.find_first_not_of("0123456789") == value.npos;
  return std::ssize(value) >= (digits ? kUnguessableDigits : kUnguessableCharacters);
}

class Needle final : public Suite {
 public:
  std::string_view name() const override { return "needle"; }
  std::string_view toml() const override { return needle_toml; }

  std::vector<CaseSpec> plan(const Parameters& parameters) const override {
    const NeedleSettings p = read_needle_settings(parameters);
    std::vector<CaseSpec> cases;
    for (size_t l = 0; l < p.lengths.size(); ++l) {
      for (const Rung& rung : rungs(p, p.lengths[l])) {
        const int64_t n = p.samples[l] * std::max<int64_t>(rung.streams, 1);
        for (int64_t k = 0; k < n; ++k) cases.push_back(rung_case(p, rung, k));
      }
    }
    return cases;
  }

  Case build(const Parameters& parameters, const CaseSpec& spec,
             const TokenCounter& counter) const override {
    const NeedleSettings p = read_needle_settings(parameters);
    const int64_t length = std::stoll(spec.tags.at("length"));
    const int64_t tokens =
        tokens_with_residue(length, std::stoll(spec.tags.at("residue128")), kCoarseRatio);
    const std::string& variant = spec.tags.at("variant");
    Rng rng(spec.seed);
    const Challenge challenge = is_published(variant) ? published_challenge(variant, length, rng)
                                                      : own_challenge(p, spec, rng);
    const uint64_t seed = rng.next();
    Haystack haystack = hide(challenge, tokens, depth_value(spec.tags.at("depth")),
                             p.common.thinking, seed, counter);
    Case out;
    out.spec = spec;
    out.conversation = std::move(haystack.conversation);
    out.limits.ignore_end = p.answer_tokens > 0;
    out.limits.max_tokens = p.answer_tokens > 0 ? p.answer_tokens : p.common.max_tokens;
    out.expected =
        nlohmann::json{{"values", challenge.wanted},        {"others", challenge.others},
                       {"prolonged", p.answer_tokens > 0},  {"asked_tokens", tokens},
                       {"counted_tokens", haystack.tokens}, {"fact_depth", haystack.fact_depth}}
            .dump();
    std::vector<std::string> values = challenge.wanted;
    if (challenge.facts.empty()) {  // else there are thousands
      values.insert(values.end(), challenge.others.begin(), challenge.others.end());
    }
    std::copy_if(values.begin(), values.end(), std::back_inserter(out.canaries), unguessable);
    // In published forms nothing keeps a prefix cache from shortening the time to the first token.
    out.cold = !challenge.salted;
    return out;
  }

  Score score(std::string_view expected, const Answer& answer) const override {
    return grade_needle(expected, answer);
  }

 private:
  static std::vector<Rung> rungs(const NeedleSettings& p, int64_t length) {
    std::vector<Rung> out;
    for (const std::string& variant : p.variants) {
      const std::vector<std::string> fillers =
          is_published(variant) ? std::vector{filler_name(filler_of(variant))} : p.fillers;
      for (const std::string& filler : fillers) {
        for (const int64_t streams : p.streams) out.push_back({length, variant, filler, streams});
      }
    }
    return out;
  }
};

}  // namespace

const Suite& needle_suite() {
  static const Needle suite;
  return suite;
}

}  // namespace ds4::suites

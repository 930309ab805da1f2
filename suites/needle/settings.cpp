#include "suites/needle/settings.h"

#include "engine/base/error.h"
#include "suites/needle/challenge.h"

namespace ds4::suites {

NeedleSettings read_needle_settings(const Parameters& parameters) {
  const ParameterReader reader("needle", parameters);
  NeedleSettings out;
  out.lengths = reader.integers("lengths", {96, 4194304, "tokens"});
  out.modulus = reader.integer("modulus", {kFineRatio, kCoarseRatio, ""});
  if (out.modulus != kFineRatio && out.modulus != kCoarseRatio) {
    throw Error(ErrorCode::kProfile,
                "suite `needle`: `modulus` is " + std::to_string(out.modulus) +
                    "; it must be 4 or 128, the compression ratios of the attention",
                "Use 4.");
  }
  out.residues = reader.integers("residues", {0, out.modulus - 1, ""});
  out.samples = reader.integers_for("samples", {1, kMaxNumberedCases, "cases"}, "lengths",
                                    out.lengths.size());
  out.depths = reader.reals("depths", {0, 1, ""});
  std::vector<std::string> variants = {"distractors", "single", "digits"};
  variants.insert(variants.end(), published_variants().begin(), published_variants().end());
  out.variants = reader.choices("variants", variants);
  out.fillers = reader.choices("fillers", {"mixed", "prose"});
  out.facts = reader.integer("facts", {2, 64, "facts"});
  out.value_length = reader.integer("value_length", {4, 32, "characters"});
  out.streams = reader.integers("streams", {0, 64, "requests"});
  out.answer_tokens = reader.integer("answer_tokens", {0, 1 << 20, "tokens"});
  out.instructed = reader.choice("style", {"bare", "instructed"}) == "instructed";
  out.common = common_parameters(reader);
  return out;
}

}  // namespace ds4::suites

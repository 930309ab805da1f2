// Template expansion of functions.json.
#include "suites/long_code/functions.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/base/check.h"
#include "suites/common/text_pools.h"

namespace ds4::suites {

extern const std::string_view long_code_functions_json;

namespace {

struct CodePhrases {
  std::vector<std::string> questions;
  std::map<std::string, std::string> sources;
  std::map<std::string, std::vector<std::string>> claims;
};

const CodePhrases& phrases() {
  static const CodePhrases parsed = [] {
    const auto json = nlohmann::json::parse(long_code_functions_json);
    return CodePhrases{json.at("questions"), json.at("sources"), json.at("claims")};
  }();
  return parsed;
}

}  // namespace

const std::vector<std::string>& defect_names() {
  static const std::vector<std::string> names = {"none",        "past_end",  "skips_first",
                                                 "stops_early", "slice_end", "size_index"};
  return names;
}

Defect defect_from_name(const std::string& name) {
  const auto& names = defect_names();
  const auto found = std::find(names.begin(), names.end(), name);
  DS4_CHECK(found != names.end(), name);
  return static_cast<Defect>(found - names.begin());
}

const std::vector<std::string>& code_languages() {
  static const std::vector<std::string> names = {"c", "python"};
  return names;
}

Function random_function(Rng& rng, const std::string& language, Defect defect, int64_t number) {
  Function out;
  out.name = rng.pick(words("array_functions"));
  if (number > 0) {
    const std::string digits = std::to_string(number);
    out.name += "_" + std::string(digits.size() < 3 ? 3 - digits.size() : 0, '0') + digits;
  }
  const std::string array = rng.pick(words("arrays"));
  const bool product = rng.below(3) == 0;
  const Bindings bound{{"name", out.name},
                       {"array", array},
                       {"total", rng.pick(words("accumulators"))},
                       {"index", rng.pick(words("counters"))},
                       {"noun", product ? "product" : "sum"},
                       {"neutral", product ? "1" : "0"},
                       {"operator", product ? "*" : "+"},
                       {"first", defect == Defect::kSkipsFirst ? "1" : "0"},
                       {"below", defect == Defect::kPastEnd ? "<=" : "<"},
                       {"end", "len(" + array + ")" + (defect == Defect::kPastEnd ? " + 1" : "")}};
  out.source = fill_template(phrases().sources.at(language), bound, rng);
  return out;
}

bool is_function_name(std::string_view identifier) {
  while (!identifier.empty() && identifier.back() >= '0' && identifier.back() <= '9') {
    identifier.remove_suffix(1);
  }
  if (identifier.ends_with('_')) identifier.remove_suffix(1);
  const auto& stems = words("array_functions");
  return std::find(stems.begin(), stems.end(), identifier) != stems.end();
}

const std::vector<std::string>& code_questions() {
  return phrases().questions;
}

const std::vector<std::string>& claim_phrases(const std::string& kind) {
  return phrases().claims.at(kind);
}

}  // namespace ds4::suites

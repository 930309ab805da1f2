// The bandwidth_roofline suite: probes of the machine, and of the engine's steps, stored as
// answers.
#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "suites/bandwidth_roofline/probing.h"
#include "suites/common/answers.h"
#include "suites/common/parameters.h"
#include "suites/common/rng.h"
#include "suites/registry.h"

namespace ds4::suites {

extern const std::string_view bandwidth_roofline_toml;

namespace {

using nlohmann::json;

constexpr std::string_view kName = "bandwidth_roofline";
constexpr double kAbovePeak = 1.05;  // clocks are told in whole steps
// Rates that the memory's pins bound.
constexpr std::string_view kOfMemory[] = {"read_rate", "write_rate", "copy_rate", "mix_rate",
                                          "random_read_rate"};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// What an answer of a probe says: ds4-probing-1, written by runners/probing.
struct Found {
  int64_t passes = 0, kept = 0;
  std::map<std::string, double> best;  // largest median of the series of a metric that count
  std::string wrong;                   // the first figure that cannot be true
};

Found read_found(const json& answer) {
  Found found;
  for (const json& series : answer.at("series")) {
    const std::string metric = series.at("metric"), of = series.at("of");
    if (series.at("refused") && found.wrong.empty()) found.wrong = series.at("note");
    std::vector<double> kept;
    for (const json& pass : series.at("passes")) {
      const double value = pass.at(0);
      ++found.passes;
      if (!std::isfinite(value) || value < 0) found.wrong = metric + " of " + of + " is no rate";
      if (pass.at(2).get<std::string>().empty()) kept.push_back(value);
    }
    found.kept += static_cast<int64_t>(kept.size());
    if (kept.empty()) continue;
    double& best = found.best[metric];
    best = std::max(best, median(kept));
  }
  const auto peak = found.best.find("memory_peak");
  for (const std::string_view metric : kOfMemory) {
    const auto rate = found.best.find(std::string(metric));
    if (peak == found.best.end() || rate == found.best.end() || !found.wrong.empty()) continue;
    if (rate->second > kAbovePeak * peak->second) {
      found.wrong = std::string(metric) + " is above what the memory's pins carry";
    }
  }
  return found;
}

class BandwidthRoofline final : public Suite {
 public:
  std::string_view name() const override { return kName; }
  std::string_view toml() const override { return bandwidth_roofline_toml; }

  std::vector<CaseSpec> plan(const Parameters& parameters) const override {
    const ParameterReader reader(kName, parameters);
    std::vector<CaseSpec> cases;
    const auto add = [&](std::string id, const std::string& group) {
      CaseSpec spec;
      spec.tags = {{"group", group}};
      spec.id = std::move(id);
      spec.seed = case_seed(kName, 0, spec.id);
      cases.push_back(std::move(spec));
    };
    for (const std::string& group :
         reader.choices("groups", {"ceilings", "launch", "gemv", "paths"})) {
      add(group, group);
    }
    const int64_t context = reader.integer(kBreakdown, {0, 4194304, "tokens"});
    if (context > 0) add(kBreakdown + ("/" + std::to_string(context)), kBreakdown);
    return cases;
  }

  std::vector<Need> needs(const Parameters&) const override { return {}; }

  Case build(const Parameters&, const CaseSpec& spec, const TokenCounter&) const override {
    Case out;
    out.spec = spec;
    out.raw = RawPrompt{"probe " + spec.id};
    out.limits.max_tokens = 0;
    return out;
  }

  Score score(std::string_view, const Answer& answer) const override {
    const json text = json::parse(answer.text, nullptr, false);
    if (!text.is_object() || text.value("format", "") != "ds4-probing-1") {
      if (was_cut(answer)) return invalid_score(answer, "anything was measured");
      return {Grade::kWrong, {}, "", "These are no figures of a probe."};
    }
    Found found;
    try {
      found = read_found(text);
    } catch (const json::exception&) {
      return {Grade::kWrong, {}, "", "These are no figures of a probe."};
    }
    if (found.passes == 0 && found.wrong.empty()) {
      return {Grade::kInvalid, {}, "", "Nothing could be measured here."};
    }
    Score score;
    score.grade = found.wrong.empty() ? Grade::kCorrect : Grade::kWrong;
    score.values["plausible"] = as_value(found.wrong.empty());
    if (!found.wrong.empty()) {
      score.explanation = "Refused: " + printable(found.wrong) + ".";
      return score;
    }
    score.values["steady"] = static_cast<double>(found.kept) / static_cast<double>(found.passes);
    const auto of_peak = [&](const char* metric, const char* name) {
      const auto rate = found.best.find(metric), peak = found.best.find("memory_peak");
      if (rate == found.best.end() || peak == found.best.end()) return;
      score.values[name] = std::min(1.0, rate->second / peak->second);
    };
    of_peak("read_rate", "read_of_peak");
    of_peak("copy_rate", "copy_of_peak");
    score.extracted = std::to_string(found.passes) + " passes";
    score.explanation = std::to_string(found.kept) + " of " + std::to_string(found.passes) +
                        " passes count, and no figure is above what can be.";
    return score;
  }
};

}  // namespace

bool probes_machine(std::string_view suite) {
  return suite == kName;
}

Probing probing_of(const Parameters& parameters, const CaseSpec& spec) {
  const ParameterReader reader(kName, parameters);
  Probing probing;
  probing.group = spec.tags.at("group");
  probing.quick = reader.boolean("quick");
  probing.device = reader.choice("device", {"cell", "cpu", "cuda"});
  if (probing.group == kBreakdown) {
    probing.context = reader.integer(kBreakdown, {1, 4194304, "tokens"});
  }
  return probing;
}

const Suite& bandwidth_roofline_suite() {
  static const BandwidthRoofline suite;
  return suite;
}

}  // namespace ds4::suites

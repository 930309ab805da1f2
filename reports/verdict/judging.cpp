// The gates and score names of a run, read from the profile stored with it.
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "reports/verdict/verdict.h"

namespace ds4::reports {

Judging judging_of(const RunRow& run) {
  try {
    const auto profile = nlohmann::json::parse(run.resolved_profile).at("profile");
    Judging judging;
    for (const auto& j : profile.at("gates")) {
      Gate gate;
      j.at("suite").get_to(gate.suite);
      j.at("figure").get_to(gate.figure);
      j.at("tags").get_to(gate.tags);
      if (j.contains("min")) gate.min = j.at("min").get<double>();
      if (j.contains("max")) gate.max = j.at("max").get<double>();
      if (j.contains("floor")) gate.floor = j.at("floor").get<double>();
      gate.baseline = j.value("baseline", "");
      gate.not_worse_by = j.value("not_worse_by", 0.0);
      gate.outcome = j.value("outcome", "");
      j.at("min_n").get_to(gate.min_n);
      j.at("source").get_to(gate.source);
      judging.gates.push_back(std::move(gate));
    }
    for (const auto& suite : profile.at("suites")) {
      suite.at("scores").get_to(judging.scores[suite.at("name").get<std::string>()]);
    }
    for (const auto& axis : profile.at("axes")) {
      judging.axes.push_back({axis.at("key").get<std::string>(), axis.at("values").size()});
    }
    return judging;
  } catch (const nlohmann::json::exception& e) {
    throw Error(ErrorCode::kIo,
                "the stored profile of run " + run.id + " cannot be read: " + e.what(),
                "The database was changed after it was written; restore it from a copy.");
  }
}

std::string gate_name(const Gate& gate) {
  if (!gate.outcome.empty()) return "no " + gate.outcome;
  std::string name = gate.figure;
  for (const auto& [tag, value] : gate.tags) name += " " + tag + "=" + value;
  return name;
}

}  // namespace ds4::reports

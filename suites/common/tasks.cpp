#include "suites/common/tasks.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/check.h"
#include "suites/common/conversation.h"
#include "suites/common/rng.h"
#include "suites/common/rubric.h"

namespace ds4::suites {

std::vector<CaseSpec> plan_tasks(std::string_view suite, const Parameters& parameters,
                                 const nlohmann::json& tasks,
                                 const std::vector<std::string>& tags) {
  const ParameterReader reader(suite, parameters);
  const CommonParameters common = rubric_parameters(reader);
  const auto levels = reader.choices("levels", kRubricLevels);
  std::vector<CaseSpec> out;
  for (const auto& task : tasks) {
    const std::string level = task.at("level");
    if (std::find(levels.begin(), levels.end(), level) == levels.end()) continue;
    CaseSpec spec;
    spec.id = task.at("id");
    for (const std::string& tag : tags) spec.tags[tag] = task.at(tag);
    spec.seed = case_seed(suite, common.seed, spec.id);
    out.push_back(std::move(spec));
  }
  return out;
}

Case build_task(std::string_view suite, const Parameters& parameters, const CaseSpec& spec,
                const nlohmann::json& tasks,
                const std::function<AskedTask(const nlohmann::json& task)>& ask_task) {
  const CommonParameters common = rubric_parameters(ParameterReader(suite, parameters));
  for (const auto& task : tasks) {
    if (task.at("id") != spec.id) continue;
    AskedTask asked = ask_task(task);
    Case out;
    out.spec = spec;
    out.conversation = ask(std::move(asked.question), common.thinking);
    out.limits.max_tokens = common.max_tokens;
    out.expected = std::move(asked.expected);
    return out;
  }
  DS4_CHECK(false, std::string(suite) + " case " + spec.id);
}

}  // namespace ds4::suites

// Suites whose cases are the tasks of a JSON list, each with an "id" and a "level", graded by
// fields (rubric.h).
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "suites/suite.h"

namespace ds4::suites {

/// A case for each task of the levels that the parameter `levels` lists, with its texts under the
/// keys `tags` as tags.
std::vector<CaseSpec> plan_tasks(std::string_view suite, const Parameters& parameters,
                                 const nlohmann::json& tasks, const std::vector<std::string>& tags);

struct AskedTask {
  std::string question, expected;
};

/// The case of the planned task: one question, as many tokens as the parameters say.
Case build_task(std::string_view suite, const Parameters& parameters, const CaseSpec& spec,
                const nlohmann::json& tasks,
                const std::function<AskedTask(const nlohmann::json& task)>& ask_task);

}  // namespace ds4::suites

// What `plan` prints of runners/fit/lint.h: the findings of every cell as text and JSON.
#pragma once

#include <cstdio>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "runners/cli/plan_fit.h"
#include "runners/fit/lint.h"

namespace ds4::cli {

/// The findings of every cell. `machine` may be null; `fits` is judge_cells()'s, empty without one.
std::vector<std::vector<runners::fit::Finding>> lint_cells(const profiles::Plan& plan,
                                                           const profiles::Machine* machine,
                                                           const std::vector<CellFit>& fits);

/// The findings about [launch] alone, as lint_cells().
std::vector<std::vector<runners::fit::Finding>> lint_launches(const profiles::Plan& plan);

/// Each finding once, with the cells that have it; nothing when there is none.
void print_findings(const profiles::Plan& plan,
                    const std::vector<std::vector<runners::fit::Finding>>& cells,
                    std::FILE* out = stdout);

nlohmann::json findings_json(const std::vector<runners::fit::Finding>& findings);

}  // namespace ds4::cli

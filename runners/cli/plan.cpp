// `plan`: the cells of a profile, their cases and the memory they need; runs nothing.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "engine/api/checkpoints.h"
#include "engine/api/session.h"
#include "engine/base/units.h"
#include "probes/host_memory.h"
#include "runners/cli/verbs.h"
#include "runners/engine_settings.h"
#include "runners/run.h"

namespace ds4::cli {
namespace {

// The engine's planned memory of a cell; empty for targets without an engine.
MemoryEstimate estimate(const profiles::Profile& profile) {
  if (profile.target != "engine") return {};
  return estimate_memory(resolve_checkpoint(profile.checkpoint),
                         runners::engine_settings(profile.engine));
}

nlohmann::json plan_json(const profiles::Plan& plan, const std::vector<int>& cases) {
  nlohmann::json cells = nlohmann::json::array();
  for (size_t i = 0; i < plan.cells.size(); ++i) {
    const MemoryEstimate memory = estimate(plan.cells[i].profile);
    nlohmann::json parts = nlohmann::json::object();
    for (const MemoryEstimate::Part& part : memory.parts) parts[part.owner] = part.bytes;
    cells.push_back({{"key", plan.cells[i].key},
                     {"label", plan.cells[i].label},
                     {"checkpoint", plan.cells[i].profile.checkpoint.string()},
                     {"cases", cases[i]},
                     {"planned_memory_bytes", memory.total_bytes()},
                     {"planned_memory", parts}});
  }
  return {{"format", "ds4-sweep plan 1"}, {"profile", plan.profile.name}, {"cells", cells}};
}

}  // namespace

void add_plan(CLI::App& app, Common& common) {
  auto path = std::make_shared<std::string>();
  auto set = std::make_shared<std::vector<std::string>>();
  CLI::App* verb = app.add_subcommand("plan", "Print cells, cases and planned memory; run nothing");
  verb->footer(
      "Examples:\n  ds4-sweep plan profiles/tiny.toml\n  ds4-sweep plan profiles/tiny.toml --json");
  verb->add_option("PROFILE", *path, "Profile file (TOML)")->required();
  verb->add_option("--set", *set, "Override a key of the profile: key=value");
  verb->add_flag("--json", common.json, "Print as JSON");
  verb->callback([path, set, &common] {
    const profiles::Plan plan = profiles::make_plan(profiles::load_profile(*path, *set));
    const std::vector<int> cases = runners::check_plan(plan);
    if (common.json) {
      std::puts(plan_json(plan, cases).dump(2).c_str());
      return;
    }
    std::printf("%s: %zu cell%s, target %s\n\n", plan.profile.name.c_str(), plan.cells.size(),
                plan.cells.size() == 1 ? "" : "s", plan.profile.target.c_str());
    std::printf("%-16s  %6s  %10s  %s\n", "cell", "cases", "memory", "settings");
    for (size_t i = 0; i < plan.cells.size(); ++i) {
      const profiles::Cell& cell = plan.cells[i];
      const MemoryEstimate memory = estimate(cell.profile);
      std::printf("%-16s  %6d  %10s  %s\n", cell.key.c_str(), cases[i],
                  memory.parts.empty() ? "-" : format_bytes(memory.total_bytes()).c_str(),
                  cell.label.c_str());
    }
    std::printf("\nmemory now available on this machine: %s\n",
                format_bytes(probes::read_machine_memory().available_bytes).c_str());
  });
}

}  // namespace ds4::cli

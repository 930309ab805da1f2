// `plan`: the cells of a profile, their cases, the memory they need, whether a machine has it and
// what is known to go wrong; runs nothing.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "engine/api/checkpoints.h"
#include "engine/api/session.h"
#include "engine/base/cache_folder.h"
#include "engine/base/checkpoint_name.h"
#include "engine/base/units.h"
#include "probes/host_memory.h"
#include "profiles/exchange/command.h"
#include "profiles/exchange/shell.h"
#include "profiles/schema/server_address.h"
#include "runners/cli/console.h"
#include "runners/cli/data_flag.h"
#include "runners/cli/plan_fit.h"
#include "runners/cli/plan_lint.h"
#include "runners/cli/verbs.h"
#include "runners/engine_settings.h"
#include "runners/fit/this_machine.h"
#include "runners/managed/port.h"
#include "runners/run.h"

namespace ds4::cli {
namespace {

// The engine's planned memory of a cell; empty for targets without an engine.
MemoryEstimate estimate(const profiles::Profile& profile) {
  if (profile.target != "engine") return {};
  return estimate_memory(resolve_checkpoint(profile.checkpoint),
                         runners::engine_settings(profile.engine));
}

// Where the sizes of a cell's weights come from; no weight is read for them.
const char* sizes_from(const profiles::Profile& profile) {
  if (profile.target != "engine") return "";
  return is_synthetic_name(profile.checkpoint.string()) ? "shapes of generated weights"
                                                        : "headers of its files";
}

// What the file of mapped weights takes: of the disk, and in full of the page cache.
int64_t mapped_bytes(const MemoryEstimate& memory) {
  int64_t bytes = 0;
  for (const MemoryEstimate::Part& part : memory.mapped) bytes += part.bytes;
  return bytes;
}

// What a cell of the target `managed` would start. A port that is chosen at the start is "PORT".
std::vector<std::string> command_of(const profiles::Profile& profile) {
  runners::managed::HostPort at{"127.0.0.1", "PORT"};
  if (!profile.server.url.empty()) {
    at = runners::managed::host_port_of(profiles::parse_server_address(profile.server.url).origin);
  }
  return profiles::managed_command(profile, {at.host, at.port, "ds4-sweep"});
}

// The command of each cell that starts a server; of cells that start the same one once.
void print_commands(const profiles::Plan& plan) {
  std::vector<std::string> shown;
  for (const profiles::Cell& cell : plan.cells) {
    if (cell.profile.target != "managed") continue;
    std::string text;
    for (const auto& [name, value] : cell.profile.launch.env) {
      text += "  " + name + "=" + profiles::shell_word(value) + "\n";
    }
    std::string line = " ";
    for (const std::string& word : command_of(cell.profile)) {
      // An option begins a line of its own.
      if (word.starts_with("-") && line.size() > 2) {
        text += line + "\n";
        line = "   ";
      }
      line += " " + profiles::shell_word(word);
    }
    text += line + "\n";
    const auto same = std::find(shown.begin(), shown.end(), text);
    if (same != shown.end()) continue;
    shown.push_back(text);
    std::printf("\nstarts (%s), without a shell:\n%s", cell.key.c_str(), text.c_str());
  }
}

nlohmann::json sweep_json(const profiles::Plan& plan) {
  const profiles::SweepSection& sweep = plan.profile.sweep;
  nlohmann::json excluded = nlohmann::json::array(), turns = nlohmann::json::array();
  for (const profiles::Exclusion& exclusion : plan.excluded) {
    excluded.push_back({{"condition", exclusion.condition}, {"cells", exclusion.cells}});
  }
  for (const reports::TurnRow& turn : runners::queue_of(plan)) {
    turns.push_back({{"cell", turn.cell_key}, {"need_bytes", turn.need_bytes}});
  }
  return {{"mode", sweep.mode},
          {"order", sweep.order},
          {"seed", sweep.seed},
          {"repeats", sweep.repeats},
          {"skip_dominated", sweep.skip_dominated},
          {"refuse_unfit", sweep.refuse_unfit},
          {"sentinel", sweep.sentinel},
          {"excluded", excluded},
          {"queue", turns}};
}

// What was left out, in which order the rest is launched, and what may stop a launch; nothing for
// a single cell launched once.
void print_sweep(const profiles::Plan& plan) {
  const profiles::SweepSection& sweep = plan.profile.sweep;
  for (const profiles::Exclusion& exclusion : plan.excluded) {
    std::printf("excluded: %d cell%s by `%s`\n", exclusion.cells, exclusion.cells == 1 ? "" : "s",
                exclusion.condition.c_str());
  }
  const auto queue = runners::queue_of(plan);
  if (queue.size() < 2) return;
  const std::string order = sweep.order == "memory" ? "by ascending predicted memory"
                            : sweep.order == "random"
                                ? "shuffled by seed " + std::to_string(sweep.seed)
                                : "as written";
  std::printf("\n%zu launches, %s%s\n", queue.size(), order.c_str(),
              sweep.repeats > 1
                  ? (", in " + std::to_string(sweep.repeats) + " rounds of every cell").c_str()
                  : "");
  if (sweep.order != "as_written") {
    for (const reports::TurnRow& turn : queue) {
      const auto cell = std::find_if(plan.cells.begin(), plan.cells.end(),
                                     [&](const auto& c) { return c.key == turn.cell_key; });
      std::printf("  %3d  %s  %9s  %s\n", turn.ordinal + 1, turn.cell_key.c_str(),
                  turn.need_bytes > 0 ? format_bytes(turn.need_bytes).c_str() : "-",
                  cell->label.c_str());
    }
  }
  std::printf("skipped after an out-of-memory end: %s\n",
              sweep.skip_dominated ? "what needs at least as much" : "nothing (skip_dominated)");
  std::printf("refused before launch: %s\n",
              sweep.refuse_unfit ? "what does not fit this machine" : "nothing (refuse_unfit)");
  if (sweep.sentinel) {
    std::printf("sentinel: a launch is repeated once when the machine is %.2f times slower\n",
                1 + sweep.sentinel_bound);
  }
}

nlohmann::json plan_json(const profiles::Plan& plan, const std::vector<int>& cases) {
  nlohmann::json cells = nlohmann::json::array();
  for (size_t i = 0; i < plan.cells.size(); ++i) {
    const profiles::Profile& profile = plan.cells[i].profile;
    const MemoryEstimate memory = estimate(profile);
    nlohmann::json parts = nlohmann::json::object();
    for (const MemoryEstimate::Part& part : memory.parts) parts[part.owner] = part.bytes;
    cells.push_back({{"key", plan.cells[i].key},
                     {"label", plan.cells[i].label},
                     {"checkpoint", profile.checkpoint.string()},
                     {"sizes_from", sizes_from(profile)},
                     {"cases", cases[i]},
                     {"planned_memory_bytes", memory.total_bytes()},
                     {"planned_memory", parts}});
    if (!memory.mapped.empty()) cells.back()["mapped_bytes"] = mapped_bytes(memory);
    if (profile.target == "managed") {
      cells.back()["command"] = command_of(profile);
      cells.back()["environment"] = nlohmann::json::object();
      for (const auto& [name, value] : profile.launch.env) {
        cells.back()["environment"][name] = value;
      }
    }
  }
  return {{"format", "ds4-sweep plan 1"},
          {"profile", plan.profile.name},
          {"cells", cells},
          {"sweep", sweep_json(plan)}};
}

void print_plan(const profiles::Plan& plan, const std::vector<int>& cases) {
  std::printf("%s: %zu cell%s, target %s\n\n", plan.profile.name.c_str(), plan.cells.size(),
              plan.cells.size() == 1 ? "" : "s", plan.profile.target.c_str());
  std::printf("%-16s  %6s  %10s  %s\n", "cell", "cases", "memory", "settings");
  for (size_t i = 0; i < plan.cells.size(); ++i) {
    const profiles::Cell& cell = plan.cells[i];
    const MemoryEstimate memory = estimate(cell.profile);
    std::printf("%-16s  %6d  %10s  %s\n", cell.key.c_str(), cases[i],
                memory.parts.empty() ? "-" : format_bytes(memory.total_bytes()).c_str(),
                cell.label.c_str());
    if (!memory.mapped.empty()) {
      std::printf("%16s  %6s  %10s  mapped weights beside it: a file in %s, and page cache\n", "",
                  "", ("+ " + format_bytes(mapped_bytes(memory))).c_str(),
                  (cache_folder() / "packed").c_str());
    }
  }
  std::set<std::string> checkpoints;
  for (const profiles::Cell& cell : plan.cells) {
    if (cell.profile.target != "engine") continue;
    checkpoints.insert(cell.profile.checkpoint.filename().string() + ": " +
                       sizes_from(cell.profile));
  }
  if (!checkpoints.empty()) std::puts("");
  for (const std::string& line : checkpoints) std::printf("sizes of %s\n", line.c_str());
}

profiles::Machine machine_of(const std::string& name, const profiles::Plan& plan) {
  if (name != "this") return profiles::load_machine(name);
  return runners::fit::this_machine(
      std::any_of(plan.cells.begin(), plan.cells.end(), [](const profiles::Cell& cell) {
        return cell.profile.target == "engine" && cell.profile.engine.device == "cuda";
      }));
}

}  // namespace

void add_plan(CLI::App& app, Common& common) {
  auto path = std::make_shared<std::string>();
  auto set = std::make_shared<std::vector<std::string>>();
  auto shard = std::make_shared<std::string>();
  auto machine_name = std::make_shared<std::string>();
  CLI::App* verb =
      app.add_subcommand("plan", "Print cells, cases, memory and whether it fits; run nothing");
  verb->footer(
      "Examples:\n"
      "  ds4-sweep plan profiles/tiny.toml\n"
      "  ds4-sweep plan profiles/k160-mtp2-200k.toml --machine spark\n"
      "  ds4-sweep plan profiles/k160-mtp2-200k.toml --machine this --set checkpoint=DIR --json\n"
      "With --machine: exit code 0 when every cell fits or is tight, 1 when one does not fit, 3 "
      "when\n"
      "the machine cannot be read; cells that `run` would refuse there are marked.\n"
      "docs/machines.md says how it is predicted.\n"
      "Warnings of settings that went wrong elsewhere (docs/lint.md) do not change it.");
  verb->add_option("PROFILE", *path, "Profile file (TOML)")->required();
  verb->add_option(
      "--machine", *machine_name,
      "Say whether it fits: spark, rtx6000, h100, h200, this (measured), or FILE.toml");
  verb->add_option("--shard", *shard, "The cells of the i-th of n machines only: i/n");
  verb->add_option("--set", *set, "Override a key of the profile: key=value");
  add_data_flag(verb);
  verb->add_flag("--json", common.json, "Print as JSON");
  add_color_flag(verb, common);
  verb->callback([path, set, shard, machine_name, &common] {
    const profiles::Plan plan = runners::own_cells(
        profiles::make_plan(profiles::load_profile(*path, *set)), runners::parse_shard(*shard, ""));
    const std::vector<int> cases = runners::check_plan(plan);
    std::optional<profiles::Machine> machine;
    std::vector<CellFit> fits;
    if (!machine_name->empty()) {
      machine = machine_of(*machine_name, plan);
      fits = judge_cells(plan, *machine);
    }
    const bool too_large = std::any_of(fits.begin(), fits.end(), [](const CellFit& cell) {
      return cell.verdict.fit == runners::fit::Fit::kDoesNotFit;
    });
    common.exit_code = too_large ? 1 : 0;
    const auto findings = lint_cells(plan, machine ? &*machine : nullptr, fits);
    if (common.json) {
      nlohmann::json json = plan_json(plan, cases);
      if (machine) json["machine"] = machine_json(*machine);
      for (size_t i = 0; i < fits.size(); ++i) json["cells"][i]["fit"] = fit_json(fits[i]);
      for (size_t i = 0; i < findings.size(); ++i) {
        json["cells"][i]["findings"] = findings_json(findings[i]);
      }
      std::puts(json.dump(2).c_str());
      return;
    }
    print_plan(plan, cases);
    print_commands(plan);
    print_sweep(plan);
    print_findings(plan, findings);
    if (machine) {
      print_fit(plan, fits, *machine, use_colour(STDOUT_FILENO, common));
    } else {
      std::printf("\nmemory now available on this machine: %s; --machine says whether it fits\n",
                  format_bytes(probes::read_machine_memory().available_bytes).c_str());
    }
  });
}

}  // namespace ds4::cli

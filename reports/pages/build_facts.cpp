// The section about the run itself: what was run, where, and what became of each cell.
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/base/units.h"
#include "reports/pages/build.h"

namespace ds4::reports {
namespace {

using nlohmann::json;

// A JSON value as a person writes it; of a list the names, one after the other.
std::string plain(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump(-1, ' ', false, json::error_handler_t::replace);
  std::string text;
  for (const json& one : value) text += (text.empty() ? "" : ", ") + plain(one);
  return text;
}

void add_row(Table& table, const std::string& name, const std::string& value) {
  table.rows.push_back({{name}, value.empty() ? nothing() : TableCell{value}});
}

// "key=value, ..." of an object; swept keys name their sweep instead of one value.
std::string settings_text(const json& engine, const json& axes) {
  std::string text;
  for (const auto& [key, value] : engine.items()) {
    bool swept = false;
    for (const json& axis : axes) swept = swept || axis.at("key") == "engine." + key;
    text += (text.empty() ? "" : ", ") + key + " " + (swept ? "swept" : plain(value));
  }
  return text;
}

void add_profile_rows(Table& table, const RunRow& run) {
  // judging_of() has read the same text, so its shape is known to be right.
  const json profile = json::parse(run.resolved_profile).at("profile");
  add_row(table, "target", plain(profile.at("target")));
  add_row(table, "engine", settings_text(profile.at("engine"), profile.at("axes")));
  std::string suites;
  for (const json& suite : profile.at("suites")) {
    suites +=
        (suites.empty() ? "" : ", ") + plain(suite.at("name")) + " v" + plain(suite.at("version"));
  }
  add_row(table, "suites", suites);
  std::string overrides;
  for (const json& pair : profile.at("overrides")) {
    overrides += (overrides.empty() ? "" : ", ") + plain(pair);
  }
  if (!overrides.empty()) add_row(table, "set on the command line", overrides);
}

// What the targets of the launches were found to be able to do; each finding once.
void add_target_rows(Table& table, const RunData& data) {
  std::set<std::string> seen;
  for (const LaunchRow& launch : data.launches) {
    const json target = json::parse(launch.target, nullptr, false);
    if (!target.is_object() || !target.contains("findings") || !seen.insert(launch.target).second) {
      continue;
    }
    const std::string name = seen.size() == 1 ? "server" : "server " + std::to_string(seen.size());
    add_row(table, name, plain(target.at("description")));
    std::string can, cannot;
    for (const auto& [key, value] : target.items()) {
      if (!value.is_boolean()) continue;
      std::string& list = value.get<bool>() ? can : cannot;
      list += (list.empty() ? "" : ", ") + key;
    }
    add_row(table, name + " can", can);
    if (!cannot.empty()) add_row(table, name + " cannot", cannot);
    add_row(table, name + " was found to", plain(target.at("findings")));
  }
}

void add_machine_rows(Table& table, const RunRow& run) {
  const json machine = json::parse(run.machine, nullptr, false);
  if (!machine.is_object()) return;
  for (const auto& [key, value] : machine.items()) {
    if (key.ends_with("_bytes") && value.is_number_integer()) {
      add_row(table, key.substr(0, key.size() - 6), format_bytes(value.get<int64_t>()));
    } else if (!(value.is_array() && value.empty())) {
      add_row(table, key, plain(value));
    }
  }
}

Table cells_table(const PageContext& context) {
  Table table{"What became of each cell.", {}, {}};
  table.columns = {{"cell"},
                   {"outcome"},
                   {"answered", true},
                   {"correct", true},
                   {"wrong", true},
                   {"invalid", true},
                   {"time", true},
                   {"launches", true, false},
                   {"key", false, false}};
  for (size_t i = 0; i < context.page.cells.size(); ++i) {
    const CellRow& cell = context.page.cells[i];
    const CellStatus& status = context.page.statuses[i];
    const Tone tone = status.complete() ? Tone::kGood
                      : status.failed() ? Tone::kBad
                                        : Tone::kUnsure;
    const std::string planned =
        status.n_planned > 0 ? " of " + std::to_string(status.n_planned) : "";
    table.rows.push_back({{cell.label},
                          {status.outcome, tone},
                          {std::to_string(status.n_ok) + planned},
                          {std::to_string(status.n_correct)},
                          {std::to_string(status.n_wrong)},
                          {std::to_string(status.n_invalid)},
                          {format_seconds(status.seconds)},
                          {std::to_string(status.n_launches)},
                          {cell.key, Tone::kMuted}});
  }
  return table;
}

// Each checkpoint of the run's cells once; rows of older databases know the run's alone.
void add_checkpoint_rows(Table& facts, const RunData& data) {
  std::map<std::string, std::string> checkpoints;  // path -> identity
  for (const CellRow& cell : data.cells) {
    if (!cell.checkpoint_path.empty()) {
      checkpoints[cell.checkpoint_path] = cell.checkpoint_identity;
    }
  }
  if (checkpoints.empty()) checkpoints[data.run.checkpoint_path] = data.run.checkpoint_identity;
  for (const auto& [path, identity] : checkpoints) {
    add_row(facts, "checkpoint", path);
    add_row(facts, "checkpoint identity", identity);
  }
}

// A shard's run, or the shards that a run was joined from with the machine of each: cells of
// different machines are compared with care.
void add_shard_rows(Table& facts, const RunData& data) {
  const RunRow& run = data.run;
  if (!run.sweep_id.empty()) add_row(facts, "sweep id", run.sweep_id);
  const std::string of = "/" + std::to_string(run.shards);
  if (run.shard > 0) add_row(facts, "shard", std::to_string(run.shard) + of);
  for (const PartRow& part : data.parts) {
    std::string cells;
    for (const CellRow& cell : data.cells) {
      if (cell.shard == part.shard) cells += (cells.empty() ? "" : "; ") + cell.label;
    }
    const json machine = json::parse(part.machine, nullptr, false);
    std::string text = "run " + part.source_id.substr(0, 8);
    for (const char* key : {"cpu", "gpus"}) {
      if (machine.is_object() && machine.contains(key)) text += ", " + plain(machine.at(key));
    }
    add_row(facts, "shard " + std::to_string(part.shard) + of, text + ": " + cells);
  }
}

}  // namespace

Section run_section(PageContext& context) {
  const RunRow& run = context.run.run;
  Section section{"run", "What was run", {}, {}, {}};
  Table facts{"The run, the model and the machine.", {{"what"}, {"value"}}, {}};
  facts.in_terminal = false;
  add_row(facts, "profile", run.profile_name + " (" + run.profile_path + ")");
  add_checkpoint_rows(facts, context.run);
  add_profile_rows(facts, run);
  add_target_rows(facts, context.run);
  add_machine_rows(facts, run);
  add_shard_rows(facts, context.run);
  add_row(facts, "started", run.started_at);
  add_row(facts, "finished", run.finished_at.empty() ? "not finished" : run.finished_at);
  section.tables.push_back(std::move(facts));
  if (!context.page.cells.empty()) section.tables.push_back(cells_table(context));
  if (!run.profile_text.empty()) {
    section.items.push_back({"The profile as it was", Tone::kPlain, {{"TOML", run.profile_text}}});
  }
  return section;
}

}  // namespace ds4::reports

#include "runners/run.h"

#include <algorithm>
#include <random>
#include <set>

#include "engine/api/checkpoints.h"
#include "engine/api/session.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/version.h"
#include "runners/fit/prediction.h"
#include "runners/machine.h"
#include "runners/sweep/order.h"
#include "suites/suite.h"

namespace ds4::runners {
namespace {

std::string make_uuid() {  // version 4
  std::random_device source;
  std::string uuid;
  static constexpr char kDigits[] = "0123456789abcdef";
  for (int i = 0; i < 32; ++i) {
    if (i == 8 || i == 12 || i == 16 || i == 20) uuid += '-';
    unsigned digit = source() & 15u;
    if (i == 12) digit = 4;
    if (i == 16) digit = 8 | (digit & 3);
    uuid += kDigits[digit];
  }
  return uuid;
}

std::string checkpoint_identity(const std::filesystem::path& checkpoint) {
  return checkpoint.empty() ? "" : read_model_info(resolve_checkpoint(checkpoint)).identity;
}

std::vector<reports::PlannedCase> plan_cases(const profiles::Profile& profile) {
  std::vector<reports::PlannedCase> cases;
  for (const profiles::SuiteSection& section : profile.suites) {
    for (suites::CaseSpec& spec : suites::find_suite(section.name)->plan(section.parameters)) {
      cases.push_back({section.name, std::move(spec.id), std::move(spec.tags)});
    }
  }
  return cases;
}

// Throws when the folder now holds another checkpoint than the run had.
void require_same_checkpoint(const reports::RunRow& run, const std::string& path,
                             const std::string& identity) {
  const std::string now = checkpoint_identity(path);
  if (now == identity) return;
  throw Error(ErrorCode::kUsage,
              path + ": not the checkpoint of run " + run.id.substr(0, 8) + " (identity " +
                  now.substr(0, 12) + ", was " + identity.substr(0, 12) + ")",
              "Put the old checkpoint back, or mix the two knowingly with --force.");
}

}  // namespace

std::vector<int> check_plan(const profiles::Plan& plan) {
  std::vector<int> cases;
  std::set<std::filesystem::path> checked;
  for (const profiles::Cell& cell : plan.cells) {
    if (cell.profile.target == "engine" && checked.insert(cell.profile.checkpoint).second) {
      read_model_info(resolve_checkpoint(cell.profile.checkpoint));
    }
    cases.push_back(static_cast<int>(plan_cases(cell.profile).size()));
  }
  return cases;
}

std::vector<reports::TurnRow> queue_of(const profiles::Plan& plan) {
  std::vector<sweep::QueuedCell> cells;
  for (const profiles::Cell& cell : plan.cells) {
    const fit::Prediction prediction = fit::predict(cell.profile);
    cells.push_back({cell.key, prediction.peak(fit::Phase::kLoad, fit::Place::kGpu) +
                                   prediction.peak(fit::Phase::kLoad, fit::Place::kHost)});
  }
  return sweep::make_queue(plan.profile.sweep, cells);
}

std::string begin_run(reports::Store& store, const profiles::Plan& plan,
                      const std::string& command_line, const Shard& shard) {
  reports::RunRow run;
  run.id = make_uuid();
  run.profile_name = plan.profile.name;
  run.profile_path = plan.profile.path.string();
  run.profile_text = plan.profile.text;
  run.commit = kCommit;
  run.dirty = kDirty;
  run.version = kVersion;
  run.machine = describe_machine();
  run.checkpoint_path = plan.profile.checkpoint.string();
  run.checkpoint_identity = checkpoint_identity(plan.profile.checkpoint);
  run.command_line = command_line;
  run.started_at = utc_now();
  run.sweep = sweep_key(plan);
  run.sweep_id = shard.sweep_id;
  run.shard = shard.index;
  run.shards = shard.count;
  const std::vector<int> shards =
      shard.index == 0 ? std::vector<int>(plan.cells.size(), 0) : shards_of(plan, shard.count);
  std::vector<reports::CellRow> cells;
  for (const profiles::Cell& cell : plan.cells) {
    reports::CellRow row;
    row.key = cell.key;
    row.label = cell.label;
    row.semantics = cell.semantics;
    row.settings = profiles::cell_to_json(cell);
    row.ordinal = static_cast<int>(cells.size());
    row.cases = plan_cases(cell.profile);
    row.shard = shards[cells.size()];
    if (row.shard == shard.index) {  // another machine's checkpoint need not lie here
      row.checkpoint_path = resolve_checkpoint(cell.profile.checkpoint).string();
      row.checkpoint_identity = checkpoint_identity(cell.profile.checkpoint);
    }
    cells.push_back(std::move(row));
  }
  run.resolved_profile = profiles::cell_to_json(profiles::Cell{"", "", "", plan.profile});
  store.add_run(run, cells, queue_of(own_cells(plan, shard)));
  return run.id;
}

void check_resumable(reports::Store& store, const reports::RunRow& run, bool force) {
  if (force) return;
  if (run.commit != kCommit || run.dirty != kDirty) {
    throw Error(ErrorCode::kUsage,
                "run " + run.id.substr(0, 8) + " was made by commit " + run.commit.substr(0, 12) +
                    (run.dirty ? " (modified)" : "") + "; this is " +
                    std::string(kCommit).substr(0, 12) + (kDirty ? " (modified)" : ""),
                "Check that commit out, or mix the two knowingly with --force.");
  }
  require_same_checkpoint(run, run.checkpoint_path, run.checkpoint_identity);
  for (const reports::CellRow& cell : store.cells(run.id)) {
    if (cell.checkpoint_identity.empty()) continue;
    const auto name = profiles::cell_from_json(cell.settings).profile.checkpoint;
    // A sibling's folder is named after plan and source, so another folder holds other weights.
    const std::string folder = resolve_checkpoint(name).string();
    if (folder != cell.checkpoint_path) {
      throw Error(ErrorCode::kUsage,
                  name.string() + ": now " + folder + "; run " + run.id.substr(0, 8) + " had " +
                      cell.checkpoint_path,
                  "Put the old checkpoint and plan back, or mix the two knowingly with --force.");
    }
    require_same_checkpoint(run, folder, cell.checkpoint_identity);
  }
}

}  // namespace ds4::runners

#include "runners/cli/plan_fit.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "engine/base/units.h"

namespace ds4::cli {
namespace {

using runners::fit::Fit;
using runners::fit::kPhases;
using runners::fit::Owner;
using runners::fit::Phase;
using runners::fit::Place;
using runners::fit::Prediction;

std::string gib(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", static_cast<double>(bytes) / (int64_t{1} << 30));
  return text;
}

// Of both places: what the cells are ordered by.
int64_t whole(const Prediction& prediction) {
  return prediction.peak(Phase::kLoad, Place::kGpu) + prediction.peak(Phase::kLoad, Place::kHost);
}

// In the memory that the verdict is about.
int64_t judged(const CellFit& cell, bool unified, Phase phase) {
  const int64_t gpu = cell.prediction.peak(phase, Place::kGpu);
  const int64_t host = cell.prediction.peak(phase, Place::kHost);
  if (unified) return gpu + host;
  return cell.verdict.memory == "memory" ? host : gpu;
}

// "fits        " in green, "tight" in yellow, "does not fit" in red.
std::string verdict_text(Fit fit, bool colour) {
  char text[16];
  std::snprintf(text, sizeof text, "%-12s", fit_name(fit));
  if (!colour) return text;
  const char* code = fit == Fit::kFits ? "32" : fit == Fit::kTight ? "33" : "31";
  return std::string("\x1b[") + code + "m" + text + "\x1b[0m";
}

void print_pool(const char* name, const profiles::MemoryPool& pool) {
  std::printf("  %s: %s GiB, %s held before it starts, %s to keep free: %s usable\n", name,
              gib(pool.total).c_str(), gib(pool.held).c_str(), gib(pool.floor).c_str(),
              gib(pool.usable()).c_str());
}

void print_owners(const Prediction& prediction, const std::string& cell) {
  std::printf("\ncell %s by owner\n%-26s  %4s  %9s  %9s  %9s\n", cell.c_str(), "", "of", "load",
              "prefill", "decode");
  for (const Owner& owner : prediction.owners) {
    const std::string bytes = format_bytes(owner.bytes), later = owner.load_only ? "-" : bytes;
    std::printf("%-26s  %4s  %9s  %9s  %9s\n", owner.name.c_str(),
                owner.place == Place::kGpu ? "GPU" : "host", bytes.c_str(), later.c_str(),
                later.c_str());
  }
}

nlohmann::json pool_json(const profiles::MemoryPool& pool) {
  return {{"total_bytes", pool.total}, {"held_bytes", pool.held}, {"floor_bytes", pool.floor}};
}

}  // namespace

std::vector<CellFit> judge_cells(const profiles::Plan& plan, const profiles::Machine& machine) {
  std::vector<CellFit> cells;
  for (const profiles::Cell& cell : plan.cells) {
    CellFit fit;
    fit.prediction = runners::fit::predict(cell.profile);
    if (!fit.prediction.owners.empty()) {
      fit.verdict = runners::fit::judge(fit.prediction, machine,
                                        runners::fit::floors_of(cell.profile, machine));
    }
    fit.refused = fit.verdict.fit == Fit::kDoesNotFit && cell.profile.sweep.refuse_unfit;
    if (fit.verdict.fit != Fit::kFits) {
      fit.remedies = runners::fit::remedies(cell.profile, machine);
    }
    cells.push_back(std::move(fit));
  }
  return cells;
}

void print_fit(const profiles::Plan& plan, const std::vector<CellFit>& cells,
               const profiles::Machine& machine, bool colour) {
  std::printf("\nmachine %s: %s\n", machine.name.c_str(), machine.description.c_str());
  auto memory = machine.memory;
  // Cells may differ in it where floors are swept: each is judged by its own.
  const runners::fit::Floors floors = runners::fit::floors_of(plan.profile, machine);
  if (memory) memory->floor = *std::max_element(floors.begin(), floors.end());
  if (machine.gpu) print_pool("GPU memory", *machine.gpu);
  if (memory) print_pool(machine.unified ? "memory, shared with the GPU" : "memory", *memory);
  std::printf("\n%-16s  %8s  %8s  %8s  %-12s  %s\n", "cell, peak in GiB", "load", "prefill",
              "decode", "verdict", "margin in GiB");
  for (size_t i = 0; i < cells.size(); ++i) {
    const CellFit& cell = cells[i];
    if (cell.prediction.owners.empty()) {
      std::printf("%-17s  %8s  %8s  %8s  %-12s  no engine\n", plan.cells[i].key.c_str(), "-", "-",
                  "-", fit_name(cell.verdict.fit));
      continue;
    }
    std::printf("%-17s", plan.cells[i].key.c_str());
    for (const Phase phase : kPhases)
      std::printf("  %8s", gib(judged(cell, machine.unified, phase)).c_str());
    std::printf("  %s  %s of %s in %s%s\n", verdict_text(cell.verdict.fit, colour).c_str(),
                gib(cell.verdict.margin()).c_str(), cell.verdict.memory.c_str(),
                phase_name(cell.verdict.phase), cell.refused ? "; run refuses it" : "");
    for (const runners::fit::Remedy& remedy : cell.remedies) {
      std::printf("  fits with %s = %s%s\n", remedy.key.c_str(), remedy.value.c_str(),
                  remedy.changes_answers ? " (other answers)" : "");
    }
    if (cell.verdict.fit != Fit::kFits && cell.remedies.empty()) {
      std::printf("  no single key makes it fit; it needs a smaller checkpoint\n");
    }
  }
  const auto refused =
      std::count_if(cells.begin(), cells.end(), [](const CellFit& cell) { return cell.refused; });
  if (refused > 0) {
    std::printf(
        "on %s, run would refuse %td of %zu cell%s; --set sweep.refuse_unfit=false launches "
        "what does not fit\n",
        machine.name == "this" ? "this machine" : machine.name.c_str(), refused, cells.size(),
        cells.size() == 1 ? "" : "s");
  }
  const auto most = std::max_element(cells.begin(), cells.end(), [](const auto& a, const auto& b) {
    return whole(a.prediction) < whole(b.prediction);
  });
  if (most != cells.end() && !most->prediction.owners.empty()) {
    print_owners(most->prediction, plan.cells[static_cast<size_t>(most - cells.begin())].key);
  }
}

nlohmann::json machine_json(const profiles::Machine& machine) {
  nlohmann::json json = {
      {"name", machine.name}, {"description", machine.description}, {"unified", machine.unified}};
  if (machine.memory) json["memory"] = pool_json(*machine.memory);
  if (machine.gpu) json["gpu"] = pool_json(*machine.gpu);
  return json;
}

nlohmann::json fit_json(const CellFit& cell) {
  if (cell.prediction.owners.empty()) return nullptr;
  nlohmann::json owners = nlohmann::json::array(), change = nlohmann::json::array();
  for (const Owner& owner : cell.prediction.owners) {
    owners.push_back({{"owner", owner.name},
                      {"bytes", owner.bytes},
                      {"place", owner.place == Place::kGpu ? "gpu" : "host"},
                      {"load_only", owner.load_only},
                      {"file", owner.file}});
  }
  for (const runners::fit::Remedy& remedy : cell.remedies) {
    change.push_back({{"key", remedy.key},
                      {"value", remedy.value},
                      {"changes_answers", remedy.changes_answers}});
  }
  nlohmann::json peaks;
  for (const Phase phase : kPhases) {
    peaks[phase_name(phase)] = {{"gpu", cell.prediction.peak(phase, Place::kGpu)},
                                {"host", cell.prediction.peak(phase, Place::kHost)}};
  }
  return {{"verdict", fit_name(cell.verdict.fit)},
          {"refused", cell.refused},
          {"memory", cell.verdict.memory},
          {"phase", phase_name(cell.verdict.phase)},
          {"need_bytes", cell.verdict.need},
          {"usable_bytes", cell.verdict.usable},
          {"margin_bytes", cell.verdict.margin()},
          {"peak_bytes", peaks},
          {"owners", owners},
          {"change", change}};
}

}  // namespace ds4::cli

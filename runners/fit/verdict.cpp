#include "runners/fit/verdict.h"

#include <algorithm>

#include "engine/base/error.h"
#include "runners/guard/limits.h"

namespace ds4::runners::fit {
namespace {

// How far a prediction may be off: what every run checks (2 % on a GPU, 3 % and at least 256 MiB
// of a process).
int64_t tolerance(int64_t on_gpu, int64_t on_host) {
  const int64_t gpu = on_gpu / 50;
  const int64_t host = on_host ? std::max(on_host / 100 * 3, int64_t{256} << 20) : 0;
  return gpu + host;
}

// One memory, used by the owners of one place or of both.
Verdict judge_pool(const Prediction& prediction, const char* name, const profiles::MemoryPool& pool,
                   const Floors& floors, bool gpu, bool host) {
  std::optional<Verdict> worst;
  int64_t doubt = 0;
  for (size_t i = 0; i < kPhases.size(); ++i) {
    const int64_t on_gpu = gpu ? prediction.peak(kPhases[i], Place::kGpu) : 0;
    const int64_t on_host = host ? prediction.peak(kPhases[i], Place::kHost) : 0;
    const Verdict here{.memory = name,
                       .phase = kPhases[i],
                       .need = on_gpu + on_host,
                       .usable = pool.total - pool.held - floors[i]};
    if (worst && here.margin() >= worst->margin()) continue;
    worst = here;
    doubt = tolerance(on_gpu, on_host);
  }
  worst->fit = worst->margin() < 0       ? Fit::kDoesNotFit
               : worst->margin() < doubt ? Fit::kTight
                                         : Fit::kFits;
  return *worst;
}

Floors all(int64_t floor) {
  Floors floors;
  floors.fill(floor);
  return floors;
}

bool uses(const Prediction& prediction, Place place) {
  return std::any_of(prediction.owners.begin(), prediction.owners.end(),
                     [place](const Owner& owner) { return owner.place == place; });
}

[[noreturn]] void refuse(const profiles::Machine& machine, const char* device, const char* table) {
  throw Error(ErrorCode::kUsage,
              "the machine model `" + machine.name + "` has no " + table +
                  ", and a cell has device " + device,
              std::string("Describe it in a file of your own (docs/machines.md), or choose ") +
                  "another machine or engine.device.");
}

}  // namespace

const char* fit_name(Fit fit) {
  switch (fit) {
    case Fit::kFits:
      return "fits";
    case Fit::kTight:
      return "tight";
    case Fit::kDoesNotFit:
      break;
  }
  return "does not fit";
}

Floors floors_of(const profiles::Profile& cell, const profiles::Machine& machine) {
  if (!machine.memory) return {};
  Floors floors = all(cell.memory_floor.value_or(machine.memory->floor));
  if (!cell.guard.enabled) return floors;
  const guard::Limits limits = guard::limits_of(cell, machine.memory->total);
  using enum guard::Phase;
  // Graphs are captured with everything in its place, as when prompts are read.
  const Floors guarded = {limits.floor(kLoad),
                          std::max(limits.floor(kCapture), limits.floor(kPrefill)),
                          limits.floor(kDecode)};
  for (size_t i = 0; i < floors.size(); ++i) floors[i] = std::max(floors[i], guarded[i]);
  return floors;
}

Verdict judge(const Prediction& prediction, const profiles::Machine& machine,
              const std::optional<Floors>& floors) {
  const bool on_gpu = uses(prediction, Place::kGpu);
  const std::optional<profiles::MemoryPool>& memory = machine.memory;
  const Floors kept = floors.value_or(all(memory ? memory->floor : 0));
  if (machine.unified) return judge_pool(prediction, "memory", *memory, kept, true, true);
  if (on_gpu && !machine.gpu) refuse(machine, "cuda", "[gpu]");
  if (!on_gpu && !memory) refuse(machine, "cpu", "[memory]");
  // A card's model may say nothing about the processors around it.
  if (!on_gpu) return judge_pool(prediction, "memory", *memory, kept, false, true);
  const Verdict gpu =
      judge_pool(prediction, "GPU memory", *machine.gpu, all(machine.gpu->floor), true, false);
  if (!memory) return gpu;
  const Verdict host = judge_pool(prediction, "memory", *memory, kept, false, true);
  if (gpu.fit != host.fit) return gpu.fit > host.fit ? gpu : host;
  return gpu.margin() <= host.margin() ? gpu : host;
}

}  // namespace ds4::runners::fit

#include "runners/fit/verdict.h"

#include <algorithm>

#include "engine/base/error.h"

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
                   bool gpu, bool host) {
  Verdict verdict{.memory = name, .usable = pool.usable()};
  int64_t doubt = 0;
  for (const Phase phase : kPhases) {
    const int64_t on_gpu = gpu ? prediction.peak(phase, Place::kGpu) : 0;
    const int64_t on_host = host ? prediction.peak(phase, Place::kHost) : 0;
    if (on_gpu + on_host <= verdict.need) continue;
    verdict.phase = phase;
    verdict.need = on_gpu + on_host;
    doubt = tolerance(on_gpu, on_host);
  }
  verdict.fit = verdict.margin() < 0       ? Fit::kDoesNotFit
                : verdict.margin() < doubt ? Fit::kTight
                                           : Fit::kFits;
  return verdict;
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

Verdict judge(const Prediction& prediction, const profiles::Machine& machine,
              std::optional<int64_t> floor) {
  const bool on_gpu = uses(prediction, Place::kGpu);
  std::optional<profiles::MemoryPool> memory = machine.memory;
  if (memory && floor) memory->floor = *floor;
  if (machine.unified) return judge_pool(prediction, "memory", *memory, true, true);
  if (on_gpu && !machine.gpu) refuse(machine, "cuda", "[gpu]");
  if (!on_gpu && !memory) refuse(machine, "cpu", "[memory]");
  // A card's model may say nothing about the processors around it.
  if (!on_gpu) return judge_pool(prediction, "memory", *memory, false, true);
  const Verdict gpu = judge_pool(prediction, "GPU memory", *machine.gpu, true, false);
  if (!memory) return gpu;
  const Verdict host = judge_pool(prediction, "memory", *memory, false, true);
  if (gpu.fit != host.fit) return gpu.fit > host.fit ? gpu : host;
  return gpu.margin() <= host.margin() ? gpu : host;
}

}  // namespace ds4::runners::fit

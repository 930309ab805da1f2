#include "runners/fit/prediction.h"

#include <algorithm>

#include "engine/api/checkpoints.h"
#include "engine/api/session.h"
#include "runners/engine_settings.h"

namespace ds4::runners::fit {
namespace {

constexpr const char* kWeights = "weights";

int64_t weight_bytes(const MemoryEstimate& estimate) {
  for (const MemoryEstimate::Part& part : estimate.parts) {
    if (part.owner == kWeights) return part.bytes;
  }
  return 0;
}

}  // namespace

const char* phase_name(Phase phase) {
  switch (phase) {
    case Phase::kLoad:
      return "load";
    case Phase::kPrefill:
      return "prefill";
    case Phase::kDecode:
      break;
  }
  return "decode";
}

int64_t Prediction::peak(Phase phase, Place place) const {
  int64_t bytes = 0;
  for (const Owner& owner : owners) {
    if (owner.place == place && (!owner.load_only || phase == Phase::kLoad)) bytes += owner.bytes;
  }
  return bytes;
}

Prediction predict(const profiles::Profile& cell) {
  if (cell.target != "engine") return {};
  const std::filesystem::path checkpoint = resolve_checkpoint(cell.checkpoint);
  const EngineSettings settings = engine_settings(cell.engine);
  const MemoryEstimate estimate = estimate_memory(checkpoint, settings);
  const Place place = settings.device == Device::kCuda ? Place::kGpu : Place::kHost;

  // What the blocks that draft add to the weights, where they can be left out.
  int64_t mtp = 0;
  if (settings.draft_tokens > 0) {
    EngineSettings plain = settings;
    plain.draft_tokens = 0;
    mtp = weight_bytes(estimate) - weight_bytes(estimate_memory(checkpoint, plain));
  }

  Prediction prediction;
  const auto add = [&](const std::string& name, int64_t bytes, Place where, bool load_only) {
    if (bytes > 0) prediction.owners.push_back({name, bytes, where, load_only});
  };
  for (const MemoryEstimate::Part& part : estimate.mapped) {
    prediction.owners.push_back(
        {part.owner + ", file pages", part.bytes, Place::kHost, false, true});
  }
  for (const MemoryEstimate::Part& part : estimate.parts) {
    const bool weights = part.owner == kWeights;
    add(part.owner, part.bytes - (weights ? mtp : 0), place, false);
    if (weights) add("MTP weights", mtp, place, false);
  }
  const bool mapped = !estimate.mapped.empty();  // a file is written by the processors alone
  if (!mapped) {
    for (const MemoryEstimate::Part& part : estimate.loading)
      add(part.owner, part.bytes, place, true);
  }
  if (settings.device == Device::kCuda) {
    add("process", kProcessBytes, Place::kHost, false);
    for (const MemoryEstimate::Part& part : estimate.loading) {
      add(part.owner + (mapped ? "" : ", pinned"), part.bytes, Place::kHost, true);
    }
  }
  return prediction;
}

}  // namespace ds4::runners::fit

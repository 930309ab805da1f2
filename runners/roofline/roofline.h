// The most tokens per second that a machine can give for a checkpoint, whatever the engine: what a
// pass cannot do without (engine/api/demand.h) over what the machine can do (probes/). Measured
// figures of a results database stand beside it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/api/demand.h"
#include "reports/figures/roofline.h"
#include "reports/store/store.h"

namespace ds4::runners {

using MachineCeilings = reports::Roof;

/// The least time of a pass: its bytes or its operations, whichever takes longer. Unknown product
/// rates bind nothing.
double least_seconds(const PassDemand::Part& work, const MachineCeilings& ceilings);

/// What the passes of an answer cannot do without, as samples of it: demand_bytes and demand_flops
/// of each component, phase "decode" (one token, half-way through the answer), "prefill" (the
/// tokens of the prompt that came from no cache, every weight once) and with drafts "round" (they
/// and their check). Throws Error(kCheckpoint).
std::vector<probes::Sample> demand_samples(const std::filesystem::path& checkpoint,
                                           const reports::AttemptRow& attempt, int64_t drafts);

struct RooflineQuestion {
  std::filesystem::path checkpoint;
  std::vector<int64_t> contexts;
  int64_t chunk = 4096;         // of a prefill, ending at the context
  int64_t drafts = 0;           // checked with the next token; 0 = no row of them
  double tokens_per_round = 0;  // that a round of drafting gives; 0 = all drafts are kept
};

/// What was measured of an engine at about this length.
struct Measured {
  double rate = 0;     // tok/s, the median
  int64_t n = 0;       // answers
  std::string run_id;  // the newest run that has any
};

struct RooflineRow {
  int64_t context = 0;
  PassDemand token;               // one decoded token
  double decode = 0;              // tok/s
  std::optional<double> drafted;  // tok/s with drafts
  std::optional<double> prefill;  // tok/s of the chunk; nothing where no product rate is known
  std::optional<Measured> decoded, prefilled;
};

struct Roofline {
  MachineCeilings ceilings;
  std::vector<RooflineRow> rows;  // one per context
};

/// Throws Error(kCheckpoint), also for drafts where the checkpoint has no blocks for them.
Roofline make_roofline(const RooflineQuestion& question, const MachineCeilings& ceilings);

/// Fills in what runs of the same weights on this kind of machine (reports/figures/machine.h)
/// measured without drafts on this device ("cpu", "cuda"), from answers to prompts within a tenth
/// of the context.
void add_measured(reports::Store& store, const std::filesystem::path& checkpoint,
                  const std::string& device, Roofline& roofline);

}  // namespace ds4::runners

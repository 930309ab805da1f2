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
#include "reports/store/store.h"

namespace ds4::runners {

struct MachineCeilings {
  std::string machine;      // "this machine", "one NVIDIA DGX Spark (GB10)"
  std::string source;       // "measured in this run", or who published them
  double read_rate = 0;     // B/s
  double product_rate = 0;  // FLOP/s; 0 = not known
  std::string product;      // what it is of: "BF16 mma.sync"
  bool projected = false;   // this program never ran there
};

/// The ceilings that were published for a Spark (reports/published/spark-bandwidth.json).
MachineCeilings published_spark();

/// The least time of a pass: its bytes or its operations, whichever takes longer. Unknown product
/// rates bind nothing.
double least_seconds(const PassDemand::Part& work, const MachineCeilings& ceilings);

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

/// Fills in what runs of the same weights on the same processors and GPUs measured without drafts
/// on this device ("cpu", "cuda"), from answers to prompts within a tenth of the context.
void add_measured(reports::Store& store, const std::filesystem::path& checkpoint,
                  const std::string& device, Roofline& roofline);

}  // namespace ds4::runners

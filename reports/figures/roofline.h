// A run's passes against the ceilings that the same run measured: what a pass cannot do without
// (stored with an answer of each length), the most tokens per second that the machine can give for
// it, and what was measured. Pure functions of the rows; docs/probes.md defines the columns.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "reports/figures/ceilings.h"
#include "reports/figures/figure.h"
#include "reports/figures/run_data.h"

namespace ds4::reports {

/// The ceilings of a machine that passes are held against.
struct Roof {
  std::string machine;       // "this machine", "one NVIDIA DGX Spark (GB10)"
  std::string source;        // "measured in this run", or who published them
  double read_rate = 0;      // B/s
  double product_rate = 0;   // FLOP/s; 0 = not known: binds nothing
  std::string product = {};  // what it is of: "BF16, wgmma"
  bool projected = false;    // this program never ran there
  bool disturbed = false;   // no pass of a ceiling counts: it is a lower bound, shares are too high
  double memory_peak = 0;   // B/s by the pins, and
  double product_peak = 0;  // FLOP/s by the chip's own numbers; 0 = not known
};

/// The ceilings that a cell's probes found. Nothing without a read ceiling.
std::optional<Roof> measured_roof(const RunData& run, const std::string& cell_key);

/// Those that were published for a Spark (reports/published/spark-bandwidth.json).
Roof published_spark();

/// The least time of so many bytes and operations: whichever takes longer.
double least_seconds(double bytes, double flops, const Roof& roof);
/// "memory", or "arithmetic" where operations take longer.
const char* bound_by(double bytes, double flops, const Roof& roof);

/// Passes that answers are made of.
enum class Pass {
  kToken,    // one token decoded, without drafts
  kRound,    // drafting, and checking the drafts with the next token
  kPrefill,  // the whole prompt
};
const char* name_of(Pass pass);  // "decode", "decode, drafting", "prefill"

/// A pass of the answers of one suite and length, or a component of one.
struct RooflineRow {
  std::string cell_key, suite;
  int64_t context = 0;  // tokens of the prompt
  Pass pass = Pass::kToken;
  std::string component = {};  // "" = all of it
  double bytes = 0, flops = 0;
  double tokens = 1;                    // that a pass gives: of a round as many as were measured
  double least_s = 0;                   // at the roof
  double most = 0;                      // tokens / least_s
  std::optional<Figure> measured = {};  // tokens per second, the median; of a whole pass
  std::optional<double> share() const {
    return measured && (*measured)->value ? std::optional(*(*measured)->value / most)
                                          : std::nullopt;
  }
};

/// By suite, context and pass, each before its components. Where answers were drafted for, the
/// measured rate stands at the round and the token has none.
std::vector<RooflineRow> roofline_rows(const RunData& run, const std::string& cell_key,
                                       const Roof& roof);

/// An operation of a step that was taken apart (suite bandwidth_roofline, `breakdown`).
struct OperationRow {
  std::string name;     // "experts", "project wq_b"
  bool decode = false;  // of a decode step; else of a prefill chunk
  double seconds = 0, bytes = 0, flops = 0;
  double least_s = 0;
  double share() const { return least_s / seconds; }
};

struct Step {
  int64_t context = 0;
  bool decode = false;
  double seconds = 0;                    // as the step normally runs
  std::string rows;                      // "1 rows"
  std::vector<OperationRow> operations;  // the most expensive first
  double watched_s() const;              // of all operations, one by one
  double least_s() const;
};

/// The newest of each context and kind.
std::vector<Step> broken_down_steps(const RunData& run, const std::string& cell_key,
                                    const Roof& roof);

/// All that a cell has under one roof.
struct CellRoofline {
  std::string cell_key;
  Roof roof;
  std::vector<ProbeSeries> ceilings = {};  // this and `steps`: of a projection none
  std::vector<RooflineRow> passes = {};    // and their components; of a projection no prefill
  std::vector<Step> steps = {};
};

/// Of each cell with a read ceiling: under the roof that it measured, then under the published one.
std::vector<CellRoofline> rooflines(const RunData& run);

}  // namespace ds4::reports

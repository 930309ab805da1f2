// The most tokens per second that the machine can give for what a launch answers, where its cell
// has measured that (suite bandwidth_roofline; docs/probes.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "reports/figures/roofline.h"
#include "reports/figures/run_data.h"

namespace ds4::runners {

class RoofWatch {
 public:
  /// Takes in an attempt of the cell: what it measured of the machine, or says of its own passes.
  void add(const reports::AttemptRow& attempt, const std::optional<reports::ScoreRow>& score);
  /// tok/s of the pass at the roofline: of the suite's answers whose prompts are nearest in length.
  /// Nothing without ceilings, or without an answer of that suite that tells.
  std::optional<double> most(const std::string& suite, int64_t prompt_tokens, bool prefill) const;

 private:
  reports::RunData told_;  // attempts that say something of it, and nothing else
  std::vector<reports::RooflineRow> rows_;
};

}  // namespace ds4::runners

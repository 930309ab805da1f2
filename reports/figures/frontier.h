// The walk of the frontier suite: what each piece of the text cost, from the raw times of its
// attempts. Attempts of any suite whose cases have the tag `frontier` make a walk.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "reports/figures/run_data.h"

namespace ds4::reports {

struct FrontierStep {
  std::string cell_key;
  int launch = 0;
  int64_t attempt_id = 0;
  int64_t ctx_tokens = 0;              // of the prompt
  int64_t prefill_tokens = 0;          // of them computed here: those that came from no cache
  std::optional<double> prefill_rate;  // tokens per second; none where a cache spoils it
  int64_t gen_tokens = 0;
  std::optional<double> decode_rate;
  std::optional<int64_t> kv_bytes;  // where the target tells
  std::string remark;               // "" = as it should be
};

/// By cell, launch and length. Attempts that are not ok, and launches whose times do not count,
/// have none.
std::vector<FrontierStep> frontier_steps(const RunData& run);

}  // namespace ds4::reports

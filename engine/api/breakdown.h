// Where the time of a decode step and of a prefill chunk goes, operation by operation, beside the
// bytes and FLOPs that each operation cannot do without.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "engine/api/session.h"

namespace ds4 {

/// All calls of one operation in a step. An operation on a matrix carries the matrix's name.
struct OperationCost {
  std::string name;  // "experts", "project wq_b", "attend, selected rows"
  int64_t calls = 0;
  double seconds = 0;       // on the back end's clock, between its neighbours
  double bytes = 0;         // weights, cache rows and activations, each read or written once
  double weight_bytes = 0;  // the part of `bytes` that is weights
  double flops = 0;         // a multiply-add counts as two
};

struct StepBreakdown {
  int64_t rows = 0;  // tokens computed
  double seconds =
      0;  // of the step as it normally runs, unwatched: from the first operation handed
          // over to an idle back end until the last row's logits are on the host
  double submit_seconds = 0;  // the first part of it, until everything is handed over
  /// A GPU's only, else 0. `launches`: kernels of the step, replayed ones included. `gpu_seconds`:
  /// the step by the GPU's clock, first operation to last, handed over while the GPU still worked
  /// on the same step before it; so it holds no waiting for the host, unless handing over takes
  /// longer than computing.
  int64_t launches = 0;
  double gpu_seconds = 0;
  std::vector<OperationCost> operations;  // the most expensive first

  OperationCost total() const;  // "all operations"
  /// The share of `seconds` in which the GPU had work: gpu_seconds / seconds, at most 1. The rest
  /// is waiting for the first launch and bringing the logits to the host.
  double gpu_busy() const;
  /// Handing over takes longer than the GPU's work: the GPU waits between operations too, and
  /// gpu_busy() is no more than a bound from above.
  bool host_bound() const { return launches > 0 && submit_seconds >= gpu_seconds; }
};

struct BreakdownOptions {
  std::filesystem::path checkpoint;  // folder or name
  EngineSettings settings;           // context_length and draft_tokens are set by break_down()
  int64_t context = 8192;            // tokens in front of the decode step; the chunk ends there
  int repeats = 5;                   // each step is timed so often; the fastest counts
  /// Unless 0: only so many tokens in front of the last chunk are computed; the memory of those
  /// between is filled with copies of their rows. Both this and `context` less one chunk must then
  /// be multiples of every compression ratio.
  int64_t computed = 0;
  int64_t generated = 0;  // tokens then decoded one behind the other, the likeliest each
};

struct Breakdown {
  StepBreakdown decode, prefill;
  EngineSettings settings;       // as set by break_down()
  int64_t prompt_tokens = 0;     // the context, or what of it was computed
  double prompt_seconds = 0;     // of these, with the logits of each chunk's last row; not loading
  double generated_seconds = 0;  // of BreakdownOptions::generated
  int64_t device_bytes = 0;      // of the GPU in use at the end, by anybody; 0 on the CPU
};

/// Reads `context` random tokens in chunks, then times the last chunk again and a step behind it.
/// `progress` receives the tokens done. Throws Error like Engine::load.
Breakdown break_down(const BreakdownOptions& options,
                     const std::function<void(int64_t)>& progress = nullptr);

}  // namespace ds4

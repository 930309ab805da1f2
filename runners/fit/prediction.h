// What a cell will take, owner by owner and phase by phase, before anything is loaded. Whether a
// machine has that much is verdict.h's business.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "profiles/schema/profile.h"

namespace ds4::runners::fit {

enum class Phase { kLoad, kPrefill, kDecode };
inline constexpr std::array<Phase, 3> kPhases{Phase::kLoad, Phase::kPrefill, Phase::kDecode};
/// "load", "prefill", "decode".
const char* phase_name(Phase phase);

/// Whose memory; with unified memory both are the same.
enum class Place { kGpu, kHost };

struct Owner {
  std::string name;  // MemoryEstimate's, "MTP weights", "process"
  int64_t bytes = 0;
  Place place = Place::kHost;
  bool load_only = false;  // given back when the weights are there
  bool file = false;       // pages of a file of that size: the system may take them back
};

struct Prediction {
  std::vector<Owner> owners;

  /// Bytes of all owners at `place` that exist in `phase`. Engines take everything when they start,
  /// so the phases differ by what loading gives back.
  int64_t peak(Phase phase, Place place) const;
};

/// What the process takes beside the memory of a GPU: code, headers, tokenizer, prompts and the
/// driver's part. A bound: loading K160 took 154 MiB beside its pinned rooms (docs/perf/gpu.md,
/// L2).
inline constexpr int64_t kProcessBytes = int64_t{512} << 20;

/// The prediction of one cell; nothing for targets without an engine. From headers or synthetic
/// shapes alone. Throws Error(kCheckpoint) when there are none.
Prediction predict(const profiles::Profile& cell);

}  // namespace ds4::runners::fit

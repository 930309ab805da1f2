// The weight block as a file: what loading would put on the GPU, written once beside the other
// things that can be made again, then mapped by every engine of that checkpoint. How the GPU reads
// it is weight_load.cpp's business; nothing here needs one, in every build.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "engine/api/session.h"
#include "engine/base/files.h"
#include "engine/ops/cuda/weight_plan.h"
#include "engine/weights/checkpoint.h"

namespace ds4::ops::cuda {

/// What stands in front of the block: text that says what the file is of, then zeros.
inline constexpr int64_t kPackedHeaderBytes = 4096;

/// Where the file of a checkpoint in a plan's layout lies: NAME-KEY.weights in the folder "packed"
/// of cache_folder(). The key is of all that decides the bytes: the layout's version, the plan and
/// weights::content_state().
std::filesystem::path packed_weights_path(const WeightPlan& plan,
                                          const weights::Checkpoint& checkpoint);

class PackedWeights {
 public:
  PackedWeights() = default;
  /// Maps the file, and writes it first where there is none or where its header or size is not that
  /// of a whole file of this checkpoint; another process that writes it is waited for. `progress`
  /// sees bytes of the block written, or else read ahead. Throws Error(kIo) when the disk is full
  /// or fails, Error(kCheckpoint) as the feed and for scales that are not ordinary_scales(), for
  /// which the plan must have been made.
  PackedWeights(const WeightPlan& plan, const weights::Checkpoint& checkpoint,
                const weights::ByteFeed& feed, const LoadProgress& progress);

  /// The block, beginning at a multiple of kPackedHeaderBytes.
  std::span<const std::byte> block() const {
    return file_.bytes().subspan(static_cast<size_t>(kPackedHeaderBytes));
  }

 private:
  MappedFile file_;
};

}  // namespace ds4::ops::cuda

// Names of checkpoints beyond plain folders.
#pragma once

#include <filesystem>

namespace ds4 {

/// The folder that a checkpoint's name stands for. `DIR:kN` is DIR pruned to N experts per layer by
/// the plan DIR/plans/kN.json: made at first use under cache_folder() of engine/base, then
/// taken from there. Any other name is returned as it is, whether it exists or not. Throws
/// Error(kCheckpoint) when there is no such plan.
std::filesystem::path resolve_checkpoint(const std::filesystem::path& name);

}  // namespace ds4

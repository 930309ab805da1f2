// From a file to the GPU's memory, as loading weights does it: several threads, each reading pieces
// into pinned memory of its own and copying them on.
#pragma once

#include <cstdint>
#include <filesystem>

#include "probes/device/gpu.h"
#include "probes/recorder.h"

namespace ds4::probes {

/// Series of path_rate: through the page cache with the file in it and not, and past it. Writes a
/// file of at most `bytes` into `folder` and removes it; refuses where the disk has not twice that.
void measure_files(Gpu& gpu, Recorder& recorder, const std::filesystem::path& folder,
                   int64_t bytes);

}  // namespace ds4::probes

// The ways that weights can reach a GPU's processors, each as fast as it goes.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "probes/device/gpu.h"
#include "probes/recorder.h"

namespace ds4::probes {

/// `scratch`: folder for a file that is read and removed again.
std::vector<Probe> path_probes(const std::shared_ptr<Gpu>& gpu, bool quick,
                               const std::filesystem::path& scratch);

}  // namespace ds4::probes

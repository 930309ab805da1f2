// What it costs to start work on the GPU, whatever the work.
#pragma once

#include <memory>
#include <vector>

#include "probes/device/gpu.h"
#include "probes/recorder.h"

namespace ds4::probes {

std::vector<Probe> launch_probes(const std::shared_ptr<Gpu>& gpu);

}  // namespace ds4::probes

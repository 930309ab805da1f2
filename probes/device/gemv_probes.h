// Rates of products with a few rows, the work of decoding, by weight format.
#pragma once

#include <memory>
#include <vector>

#include "probes/device/gpu.h"
#include "probes/recorder.h"

namespace ds4::probes {

std::vector<Probe> gemv_probes(const std::shared_ptr<Gpu>& gpu, bool quick);

}  // namespace ds4::probes

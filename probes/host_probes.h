// Everything that is measured of the processors, with one thread and with all.
#pragma once

#include <vector>

#include "probes/recorder.h"

namespace ds4::probes {

std::vector<Probe> host_probes(bool quick);

}  // namespace ds4::probes

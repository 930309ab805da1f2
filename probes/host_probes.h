// Everything that is measured of the processors, with one thread and with all.
#pragma once

#include <vector>

#include "probes/recorder.h"

namespace ds4::probes {

struct HostProbes {
  SlowedBy slowed_by;  // for the recorder's protocol: other processes took the cores
  MostPossible most;   // the same: what so many cores of any make can do in a second
  std::vector<Probe> probes;
};

HostProbes host_probes(bool quick);

}  // namespace ds4::probes

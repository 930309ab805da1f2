// One measured value, as it is stored: never an average, always with a unit and the time it was
// taken.
#pragma once

#include "engine/base/name.h"

namespace ds4::probes {

struct Sample {
  Name metric;        // a name of metric.h
  double value = 0;   // in the metric's unit
  double time_s = 0;  // since the start of the attempt (or of the worker), monotonic clock
  Name phase;         // "load", "prefill", "decode", "" = whole attempt
};

}  // namespace ds4::probes

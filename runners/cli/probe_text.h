// What `probe` measured, as a table and as JSON.
#pragma once

#include <string>
#include <vector>

#include "probes/device_probes.h"
#include "probes/recorder.h"
#include "reports/published/published.h"

namespace ds4::cli {

struct ProbeResult {
  std::string device;         // "cpu" or "cuda"
  probes::DeviceFacts facts;  // of a GPU
  bool quick = false;
  double seconds = 0;  // all of it
  std::vector<probes::Series> series;
};

/// One line a series: median, its 95 % interval, passes that count, what was thrown out.
std::string probe_table(const ProbeResult& result);

/// Published figures of a machine beside the rows that come nearest.
std::string against_text(const ProbeResult& result, const reports::Published& published);

/// "ds4-probe-2": every pass of every series.
std::string probe_json(const ProbeResult& result);

}  // namespace ds4::cli

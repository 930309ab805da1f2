// The Prometheus text format, as servers publish it at /metrics: read without trust, and the
// figures of known servers made samples.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "probes/sample.h"

namespace ds4::runners::managed {

/// A line `name{label="value",...} 1.5`; a moment behind the value is left out.
struct MetricLine {
  std::string name;
  std::vector<std::pair<std::string, std::string>> labels = {};
  double value = 0;  // finite
};

/// Nothing for a comment, for what is no such line, and for a value that is no finite number.
std::optional<MetricLine> parse_metric_line(std::string_view line);

/// The samples of a page: of each known figure the sum over its lines, that is over engines and
/// ranks (a share: the mean). Pages of over 4 MiB are cut.
std::vector<probes::Sample> samples_of_metrics(std::string_view page, double time_s);

}  // namespace ds4::runners::managed

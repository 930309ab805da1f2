// A metric's name with what a value is of, as samples of probes are stored where one attempt has
// many of a metric: "read_rate{of=F32 sums}", and of a pass that does not count
// "read_rate{of=F32 sums,discarded=power cap}".
#pragma once

#include <string>
#include <string_view>

namespace ds4::probes {

struct Tagged {
  std::string metric;     // a name of metric.h
  std::string of;         // "F32 sums"; "" = the name has no tags
  std::string discarded;  // why the value does not count ("power cap"); "" = it counts
};

/// The name. `of` must not be empty nor hold ",discarded=".
std::string tagged_name(const Tagged& tagged);

/// The parts of such a name; of any other name the name alone.
Tagged read_tagged(std::string_view name);

}  // namespace ds4::probes

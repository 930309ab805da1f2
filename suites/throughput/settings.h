// The parameters of the throughput suite, read and checked, and the groups they ask for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "suites/common/parameters.h"

namespace ds4::suites::throughput {

struct Settings {
  CommonParameters common;
  std::string loop;
  std::vector<int64_t> concurrency;
  std::vector<double> rates;
  double burstiness = 1;
  int64_t requests = 0, warm_up = 0;
  const Suite* load = nullptr;  // whose cases are asked; none: our own
  Parameters load_parameters;
  bool random_ids = false;
  int64_t input_tokens = 0;
  double range_ratio = 0;
  int64_t first_id = 0, last_id = 0;
};

/// Throws Error(kProfile).
Settings read_settings(const Parameters& parameters);

/// Requests that come together in one way.
struct Group {
  std::string name;        // "c4", "r0.5"
  std::string tag, value;  // "concurrency", "4"
  int64_t at_once = 0;     // 0 = at drawn moments,
  double rate = 0;         // so many a second
};
std::vector<Group> groups_of(const Settings& settings);

}  // namespace ds4::suites::throughput

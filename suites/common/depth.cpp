// Integer arithmetic on ten-thousandths: no locale can change the decimal point.
#include "suites/common/depth.h"

#include <cstdint>

#include "engine/base/check.h"

namespace ds4::suites {

std::string depth_name(double depth) {
  const auto parts = static_cast<int64_t>(depth * 10000 + 0.5);
  std::string decimals = std::to_string(parts % 10000);
  decimals.insert(0, 4 - decimals.size(), '0');
  if (parts % 100 == 0) decimals.resize(2);
  return std::to_string(parts / 10000) + "." + decimals;
}

double depth_value(const std::string& name) {
  const size_t dot = name.find('.');
  DS4_CHECK(dot != name.npos, name);
  std::string decimals = name.substr(dot + 1);
  decimals.resize(4, '0');
  return std::stoi(name.substr(0, dot)) + std::stoi(decimals) / 10000.0;
}

}  // namespace ds4::suites

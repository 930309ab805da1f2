#include "engine/reap/origin.h"

#include <set>
#include <string>

namespace ds4::reap {

Origin read_origin(const JsonFields& fields) {
  return {.identity = fields.text("identity"),
          .sha256 = fields.text("sha256"),
          .calibration = fields.text("calibration"),
          .calibration_sha256 = fields.text("calibration_sha256")};
}

std::vector<JsonFields> block_entries(const JsonFields& fields) {
  std::vector<JsonFields> entries = fields.objects("blocks");
  if (entries.empty()) fields.fail("`blocks` is empty");
  std::set<std::string> names;
  for (const JsonFields& entry : entries) {
    const std::string name = entry.text("block");
    if (!names.insert(name).second) entry.fail("repeats the block " + name);
  }
  return entries;
}

}  // namespace ds4::reap

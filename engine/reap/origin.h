// What the files of observations and plans share: where they come from, and a list of blocks.
#pragma once

#include <vector>

#include "engine/api/reap.h"
#include "engine/reap/json_fields.h"

namespace ds4::reap {

/// Both throw Error(kCheckpoint).
Origin read_origin(const JsonFields& fields);
/// The entries of `blocks`: at least one, none named twice.
std::vector<JsonFields> block_entries(const JsonFields& fields);

}  // namespace ds4::reap

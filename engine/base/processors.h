// How many processors this process may use.
#pragma once

namespace ds4 {

/// Processors in this process's affinity mask; those of the machine where the system does not tell.
/// At least 1.
int usable_processors();

}  // namespace ds4

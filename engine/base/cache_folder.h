// Where files lie that the program makes itself and can make again.
#pragma once

#include <filesystem>

namespace ds4 {

/// $XDG_CACHE_HOME/ds4-sweep, or ~/.cache/ds4-sweep. Throws Error(kMachine) when neither variable
/// says where. Nothing in it is missed when removed.
std::filesystem::path cache_folder();

}  // namespace ds4

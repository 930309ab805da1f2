// The machine a run was made on, as it is stored with the run. No host or user names.
#pragma once

#include <string>

namespace ds4::runners {

/// JSON: cpu (model name), threads usable by this process, memory_bytes, kernel, os, architecture.
std::string describe_machine();

}  // namespace ds4::runners

// The machine this program runs on as a machine model, measured now.
#pragma once

#include "profiles/schema/machine.h"

namespace ds4::runners::fit {

/// MemTotal and MemAvailable and, `with_gpu`, what the first GPU has and can still give. What is in
/// use counts as held; page cache that can be given back does not. Throws Error(kMachine) when the
/// memory cannot be read or there is no GPU.
profiles::Machine this_machine(bool with_gpu);

}  // namespace ds4::runners::fit

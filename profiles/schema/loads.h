// Suites that ask the cases of another one (`load = "gsm8k"`): which parameters those cases have.
#pragma once

#include "profiles/schema/profile.h"

namespace ds4::profiles {

/// Gives every section with a `load` that suite's parameters beside its own, as "load.NAME", since
/// they decide what is measured, and that suite's scores, since they are what its answers get. The
/// parameters are those of the suite's own section, or its defaults where it has none. To be called
/// when all settings are applied; again is the same.
void resolve_loads(Profile& profile);

}  // namespace ds4::profiles

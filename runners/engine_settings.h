// The `[engine]` section of a profile as the engine's own settings.
#pragma once

#include "engine/api/session.h"
#include "profiles/schema/profile.h"

namespace ds4::runners {

EngineSettings engine_settings(const profiles::EngineSection& section);

}  // namespace ds4::runners

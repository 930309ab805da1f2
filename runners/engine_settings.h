// The `[engine]` section of a profile as the engine's own settings.
#pragma once

#include "engine/api/session.h"
#include "profiles/schema/profile.h"

namespace ds4::runners {

EngineSettings engine_settings(const profiles::EngineSection& section);

/// How the engine draws for a request.
SamplingSettings sampling_settings(const suites::GenerationLimits& limits);

}  // namespace ds4::runners

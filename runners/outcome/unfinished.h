// Launches that began and never ended: whoever opens the store next finds out what became of them,
// from what was written down when they began and from the telemetry they left.
#pragma once

#include <filesystem>
#include <optional>

#include "reports/store/store.h"
#include "runners/outcome/evidence.h"

namespace ds4::runners::outcome {

/// Names every launch that is stored as "running" and cannot be running any more: its machine was
/// restarted since, or its supervisor is gone. Launches of a living supervisor and of other
/// machines stay as they are. Returns how many it named.
int settle_unfinished(reports::Store& store);

/// The same for a database that is only going to be read: opened for writing when there is
/// something to settle. One that cannot be written to stays as it is.
void settle_unfinished(const std::filesystem::path& database);

/// What a telemetry file of the guard (docs/guard.md) last says; nothing when there is no such file
/// or no whole line. Whatever a machine that stopped left at the end is passed over.
std::optional<LastReading> last_reading(const std::filesystem::path& telemetry);

}  // namespace ds4::runners::outcome

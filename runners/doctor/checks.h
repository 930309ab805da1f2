// What doctor looks at, one function for each subject. They read and judge; nothing is changed.
#pragma once

#include <filesystem>

#include "profiles/schema/machine.h"
#include "profiles/schema/plan.h"
#include "runners/doctor/finding.h"
#include "runners/doctor/sources.h"

namespace ds4::runners::doctor {

/// Memory, page cache, memory nobody accounts for, swap, pressure, shared memory, limits. Throws
/// Error(kMachine) when /proc/meminfo tells neither MemTotal nor MemAvailable.
Findings check_memory(const Sources& sources, const GpuReport& gpus);

/// What the guard needs to protect itself and to see (docs/guard.md).
Findings check_permissions(const Sources& sources);

/// Clock, boot id, other work, processors' governor, and whether another run has the machine.
Findings check_host(const Sources& sources);

/// Driver, clocks, throttling, temperature and other processes; `needed` when a cell uses the GPU.
Findings check_gpus(const Sources& sources, const GpuReport& gpus, bool needed);

/// The disk and file system where `database` is or would be made, and whether it can be read.
Findings check_database(const Sources& sources, const std::filesystem::path& database);

/// The weights and tokenizer of every cell with an engine, and the disk they are on. `deep` reads
/// every byte and compares it with the sha256 that came with it, where one did.
Findings check_weights(const Sources& sources, const profiles::Plan& plan, bool deep);

/// Whether every suite's cases can be made.
Findings check_datasets(const profiles::Plan& plan);

/// Whether the cells fit `machine` as it is now (docs/machines.md).
Findings check_fit(const profiles::Plan& plan, const profiles::Machine& machine);

}  // namespace ds4::runners::doctor

#include "runners/fit/this_machine.h"

#include "engine/api/session.h"
#include "engine/base/error.h"
#include "probes/host_memory.h"

namespace ds4::runners::fit {
namespace {

// Where a full memory stops everybody, as the published profiles of a Spark keep free
// (profiles/machines/spark.toml); elsewhere what the same launcher keeps by default.
constexpr int64_t kUnifiedFloor = int64_t{6} << 30;
constexpr int64_t kHostFloor = int64_t{2} << 30;

}  // namespace

profiles::Machine this_machine(bool with_gpu) {
  const probes::MachineMemory memory = probes::read_machine_memory();
  if (memory.total_bytes == 0 || memory.available_bytes == 0) {
    throw Error(ErrorCode::kMachine, "/proc/meminfo says nothing about this machine's memory",
                "Choose a machine model by name, or describe this one in a file.");
  }
  profiles::Machine machine;
  machine.name = "this";
  machine.description = "measured now";
  machine.memory = profiles::MemoryPool{memory.total_bytes,
                                        memory.total_bytes - memory.available_bytes, kHostFloor};
  if (!with_gpu) return machine;
  const GpuMemory gpu = gpu_memory();
  machine.description += ", " + gpu_name();
  machine.unified = gpu.shared;
  if (gpu.shared) {
    machine.memory->floor = kUnifiedFloor;
  } else {
    machine.gpu = profiles::MemoryPool{gpu.total_bytes, gpu.total_bytes - gpu.free_bytes, 0};
  }
  return machine;
}

}  // namespace ds4::runners::fit

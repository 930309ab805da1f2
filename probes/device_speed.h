// The ceilings of the first GPU: how fast its memory can be read and BF16 tiles multiplied. Nothing
// of the engine takes part, so that the engine can be held against them.
#pragma once

namespace ds4::probes {

struct DeviceSpeed {
  double read_rate = 0;  // B/s: sequential reads of a buffer far larger than the caches
  double bf16_rate = 0;  // FLOP/s: mma.sync on registers, f32 sums
};

/// The best of a few passes, half a second in all. Throws Error(kMachine) when this build or this
/// machine has no GPU.
DeviceSpeed measure_device_speed();

}  // namespace ds4::probes

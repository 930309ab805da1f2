// The ceilings of a GPU's memory and tensor cores: what any kernel is held against.
#pragma once

#include <memory>
#include <vector>

#include "probes/device/gpu.h"
#include "probes/device/tensor.h"
#include "probes/recorder.h"

namespace ds4::probes {

/// The one read ceiling of the program: metric read_rate. Its series and that of BF16 are
/// what roofs and shares are taken of.
inline constexpr const char* kReadCeiling = "F32 sums";

/// Bytes per second of f32 sums over a buffer far larger than L2.
Series& measure_read(Gpu& gpu, Recorder& recorder, bool quick);
/// FLOP/s of the tensor cores; an absent series where the GPU or the build has no such instruction.
void measure_tensor(Gpu& gpu, Recorder& recorder, TensorWay way);
/// The FLOP/s of such a row that the chip cannot pass; 0 where it is not known.
double tensor_peak(const Gpu& gpu, const std::string& of);

std::vector<Probe> ceiling_probes(const std::shared_ptr<Gpu>& gpu, bool quick);

}  // namespace ds4::probes

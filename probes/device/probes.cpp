// device_probes.h of a build with CUDA.
#include <memory>

#include "probes/device/ceilings.h"
#include "probes/device/gemv_probes.h"
#include "probes/device/gpu.h"
#include "probes/device/launches.h"
#include "probes/device/paths.h"
#include "probes/device/tensor.h"
#include "probes/device_probes.h"

namespace ds4::probes {

DeviceProbes device_probes(const ProbeOptions& options) {
  const auto gpu = std::make_shared<Gpu>();
  DeviceProbes all;
  all.facts = {gpu->name(), gpu->processors(), gpu->l2_bytes(), Gpu::free_bytes(), gpu->watched()};
  all.slowed_by = [gpu] { return gpu->slowed_by(); };
  for (const auto& probes :
       {ceiling_probes(gpu, options.quick), launch_probes(gpu), gemv_probes(gpu, options.quick),
        path_probes(gpu, options.quick, options.scratch)}) {
    all.probes.insert(all.probes.end(), probes.begin(), probes.end());
  }
  return all;
}

DeviceSpeed measure_device_speed() {
  Gpu gpu;
  Recorder recorder(Protocol::quick());
  measure_read(gpu, recorder, true);
  gpu.drop_numbers();
  measure_tensor(gpu, recorder, static_cast<int>(TensorType::kBf16));
  return {recorder.median("read_rate", kReadCeiling),
          recorder.median("tensor_rate", tensor_name(TensorType::kBf16))};
}

}  // namespace ds4::probes

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
namespace {

// What memory, L1 and tensor cores cannot pass, by the chip's own numbers.
MostPossible most_possible(const std::shared_ptr<Gpu>& gpu) {
  return [gpu](const std::string& metric, const std::string& of) -> double {
    for (const char* name :
         {"read_rate", "write_rate", "copy_rate", "mix_rate", "random_read_rate"}) {
      if (metric == name) return gpu->memory_peak();
    }
    if (metric == "tensor_rate") return tensor_peak(*gpu, of);
    const bool cached = metric == "working_set_rate" || metric.starts_with("gemv_");
    return cached ? gpu->l1_peak() : 0;
  };
}

}  // namespace

DeviceProbes device_probes(const ProbeOptions& options) {
  const auto gpu = std::make_shared<Gpu>();
  DeviceProbes all;
  all.facts = {gpu->name(), gpu->processors(), gpu->l2_bytes(), Gpu::free_bytes(), gpu->watched()};
  all.slowed_by = [gpu] { return gpu->slowed_by(); };
  all.most = most_possible(gpu);
  for (const auto& probes :
       {ceiling_probes(gpu, options.quick), launch_probes(gpu), gemv_probes(gpu, options.quick),
        path_probes(gpu, options.quick, options.scratch)}) {
    all.probes.insert(all.probes.end(), probes.begin(), probes.end());
  }
  return all;
}

DeviceSpeed measure_device_speed() {
  const auto gpu = std::make_shared<Gpu>();
  Protocol protocol = Protocol::quick();
  protocol.most = most_possible(gpu);
  Recorder recorder(std::move(protocol));
  measure_read(*gpu, recorder, true);
  gpu->drop_numbers();
  DeviceSpeed speed;
  speed.read_rate = recorder.median("read_rate", kReadCeiling);
  for (const TensorWay way : {TensorWay{TensorType::kBf16, false}, {TensorType::kBf16, true}}) {
    measure_tensor(*gpu, recorder, way);
    const double rate = recorder.median("tensor_rate", way.name());
    if (rate <= speed.bf16_rate) continue;
    speed.bf16_rate = rate;
    speed.bf16_by = way.by_groups ? "BF16 wgmma" : "BF16 mma.sync";
  }
  return speed;
}

}  // namespace ds4::probes

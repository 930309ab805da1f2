#include "runners/machine_probes.h"

#include <algorithm>

#include "engine/base/error.h"
#include "probes/host_probes.h"

namespace ds4::runners {
namespace {

// Of HostProbes or DeviceProbes.
template <class Found>
void take(Found found, MachineProbes& chosen) {
  chosen.protocol.slowed_by = std::move(found.slowed_by);
  chosen.protocol.most = std::move(found.most);
  chosen.probes = std::move(found.probes);
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

MachineProbes choose_probes(const ProbeChoice& choice) {
  MachineProbes chosen;
  chosen.protocol = choice.quick ? probes::Protocol::quick() : probes::Protocol::thorough();
  const bool gpu = choice.device == "cuda";
  if (gpu) {
    probes::DeviceProbes found = probes::device_probes(
        {choice.quick,
         choice.scratch.empty() ? std::filesystem::temp_directory_path() : choice.scratch});
    chosen.facts = found.facts;
    take(std::move(found), chosen);
  } else {
    take(probes::host_probes(choice.quick), chosen);
  }
  const auto& groups = choice.groups;
  std::erase_if(chosen.probes, [&](const probes::Probe& probe) {
    return !groups.empty() && std::find(groups.begin(), groups.end(), probe.group) == groups.end();
  });
  if (chosen.probes.empty()) {
    throw Error(ErrorCode::kUsage,
                std::string("of ") + (gpu ? "a GPU" : "processors") +
                    " nothing is measured under: " + joined(groups),
                "Of a GPU: ceilings, paths, launch, gemv; of processors: ceilings.");
  }
  return chosen;
}

std::vector<probes::Series> measure(
    MachineProbes chosen, const std::function<void(const probes::ProbeProgress&)>& progress) {
  probes::Recorder recorder(std::move(chosen.protocol));
  probes::run_probes(chosen.probes, recorder, progress);
  return recorder.series();
}

}  // namespace ds4::runners

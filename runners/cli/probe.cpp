// `probe`: what this machine can do, measured without the engine: the ceilings its rates are held
// against. Measuring sits in probes/; this file chooses and shows how far it is.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <vector>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/units.h"
#include "probes/device_probes.h"
#include "probes/host_probes.h"
#include "runners/cli/probe_text.h"
#include "runners/cli/verbs.h"

namespace ds4::cli {
namespace {

struct ProbeFlags {
  bool quick = false;
  std::string device = "cpu", scratch;
  std::vector<std::string> only;
};

// One line on stderr: rewritten on a terminal, one per probe elsewhere.
class ProbeLine {
 public:
  explicit ProbeLine(const Common& common)
      : enabled_(!common.quiet && !common.no_progress), live_(::isatty(STDERR_FILENO) != 0) {}

  void show(const probes::ProbeProgress& progress) const {
    if (!enabled_) return;
    if (progress.name.empty()) {
      if (live_) std::fputs("\r\033[K", stderr);
      return;
    }
    const std::string left =
        progress.left_s > 0 ? ", about " + format_seconds(progress.left_s) + " left" : "";
    std::fprintf(stderr, live_ ? "\r\033[K%3.0f %%  %s%s" : "%3.0f %%  %s%s\n",
                 100 * progress.share, progress.name.c_str(), left.c_str());
  }

 private:
  bool enabled_, live_;
};

void keep_only(const std::vector<std::string>& only, std::vector<probes::Probe>& probes) {
  if (only.empty()) return;
  std::erase_if(probes, [&](const probes::Probe& probe) {
    return std::find(only.begin(), only.end(), probe.group) == only.end();
  });
  if (probes.empty()) {
    throw Error(ErrorCode::kUsage, "nothing of --only is measured of this device",
                "Of a GPU: ceilings, paths, launch, gemv; of processors: ceilings.");
  }
}

ProbeResult measure(const ProbeFlags& flags, const Common& common) {
  ProbeResult result;
  result.device = flags.device;
  result.quick = flags.quick;
  probes::Protocol protocol =
      flags.quick ? probes::Protocol::quick() : probes::Protocol::thorough();
  std::vector<probes::Probe> probes;
  if (flags.device == "cuda") {
    probes::DeviceProbes device = probes::device_probes(
        {flags.quick, flags.scratch.empty() ? std::filesystem::temp_directory_path()
                                            : std::filesystem::path(flags.scratch)});
    result.facts = device.facts;
    protocol.slowed_by = device.slowed_by;
    probes = std::move(device.probes);
  } else {
    probes = probes::host_probes(flags.quick);
  }
  keep_only(flags.only, probes);
  probes::Recorder recorder(std::move(protocol));
  const ProbeLine line(common);
  const double begin = monotonic_seconds();
  probes::run_probes(probes, recorder, [&](const auto& progress) { line.show(progress); });
  result.seconds = monotonic_seconds() - begin;
  result.series = recorder.series();
  return result;
}

}  // namespace

void add_probe(CLI::App& app, Common& common) {
  auto flags = std::make_shared<ProbeFlags>();
  CLI::App* verb = app.add_subcommand("probe", "What this machine can do at best");
  verb->footer(
      "docs/probes.md says what each ceiling is and why it is the limit.\nExamples:\n"
      "  ds4-sweep probe --quick\n  ds4-sweep probe --device cuda --quick --json\n"
      "  ds4-sweep probe --device cuda --only gemv,launch");
  verb->add_flag("--quick", flags->quick, "Fewer passes and sizes: under a minute");
  verb->add_option("--device", flags->device, "cpu or cuda")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  verb->add_option("--only", flags->only, "Groups to measure: ceilings, paths, launch, gemv")
      ->delimiter(',')
      ->check(CLI::IsMember({"ceilings", "paths", "launch", "gemv"}));
  verb->add_option("--scratch", flags->scratch,
                   "Folder for a file that is read and removed again; else the system's")
      ->check(CLI::ExistingDirectory);
  verb->add_flag("--json", common.json, "Print every pass as JSON");
  verb->callback([flags, &common] {
    const ProbeResult result = measure(*flags, common);
    std::fputs((common.json ? probe_json(result) : probe_table(result)).c_str(), stdout);
  });
}

}  // namespace ds4::cli

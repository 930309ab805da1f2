// `sentinel`: started by a run to read the machine in a process that gives all memory back; hidden
// from --help.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "engine/base/error.h"
#include "probes/sentinel.h"
#include "runners/cli/verbs.h"
#include "runners/fit/this_machine.h"
#include "runners/process.h"
#include "runners/sweep/observation.h"

namespace ds4::cli {

void add_sentinel(CLI::App& app, Common&) {
  auto device = std::make_shared<std::string>();
  auto speed = std::make_shared<bool>(false);
  CLI::App* verb = app.add_subcommand("sentinel", "")->group("");
  verb->add_option("DEVICE", *device)->required()->check(CLI::IsMember({"cpu", "cuda"}));
  verb->add_flag("--speed", *speed);
  verb->callback([device, speed] {
    std::FILE* out = ::fdopen(runners::ChildProcess::kProtocolFd, "w");
    if (!out) {
      throw Error(ErrorCode::kUsage, "no run is listening",
                  "`sentinel` is started by `ds4-sweep run`; it is not for use by hand.");
    }
    const bool gpu = *device == "cuda";
    runners::sweep::Observation observation{runners::fit::this_machine(gpu), {}};
    if (*speed) {
      observation.sentinel = gpu ? probes::read_device_sentinel() : probes::read_host_sentinel();
    }
    std::fputs((encode(observation) + "\n").c_str(), out);
    std::fflush(out);
  });
}

}  // namespace ds4::cli

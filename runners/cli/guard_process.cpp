// `guard-process`: the memory guard of a launch, started by the supervisor; hidden from --help.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "engine/base/error.h"
#include "runners/cli/verbs.h"
#include "runners/guard/guard_process.h"
#include "runners/process.h"

namespace ds4::cli {

void add_guard_process(CLI::App& app, Common& common) {
  CLI::App* verb = app.add_subcommand("guard-process", "")->group("");
  verb->callback([&common] {
    std::FILE* out = ::fdopen(runners::ChildProcess::kProtocolFd, "w");
    if (!out) {
      throw Error(ErrorCode::kUsage, "no supervisor is listening",
                  "`guard-process` is started by `ds4-sweep run`; by hand use `ds4-sweep guard`.");
    }
    common.exit_code = runners::guard::run_guard_process(STDIN_FILENO, out);
  });
}

}  // namespace ds4::cli

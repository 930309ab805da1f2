// `worker`: started by the supervisor, never by hand; hidden from --help.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <iterator>

#include "engine/base/error.h"
#include "runners/cli/verbs.h"
#include "runners/process.h"
#include "runners/worker.h"

namespace ds4::cli {

void add_worker(CLI::App& app, Common& common) {
  CLI::App* verb = app.add_subcommand("worker", "")->group("");
  verb->callback([&common] {
    const std::string input{std::istreambuf_iterator<char>(std::cin), {}};
    const runners::Assignment assignment = runners::decode_assignment(input);
    std::FILE* out = ::fdopen(runners::ChildProcess::kProtocolFd, "w");
    if (!out) {
      throw Error(ErrorCode::kUsage, "no supervisor is listening",
                  "`worker` is started by `ds4-sweep run`; it is not for use by hand.");
    }
    common.exit_code = runners::run_worker(assignment, out);
  });
}

}  // namespace ds4::cli

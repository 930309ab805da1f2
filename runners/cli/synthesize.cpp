// `synthesize`: writes a synthetic checkpoint to disk, for tests of loaders and of storage.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "engine/api/inventory.h"
#include "engine/base/checkpoint_name.h"
#include "engine/base/clock.h"
#include "engine/base/units.h"
#include "runners/cli/verbs.h"

namespace ds4::cli {

void add_synthesize(CLI::App& app, Common& common) {
  struct Options {
    std::string name, folder;
  };
  auto options = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("synthesize", "Write a synthetic checkpoint to disk");
  verb->footer(
      "NAME is synthetic:kN[:layers=M][:seed=S][:shape=micro], 6 <= N <= 256 experts, 1 <= M <= 43 "
      "layers.\nEvery verb and profile takes such a name in place of a folder too, without any "
      "file.\nExamples:\n  ds4-sweep synthesize synthetic:k160:layers=2 -o /tmp/k160-2");
  verb->add_option("NAME", options->name, "The checkpoint to write")->required();
  verb->add_option("-o,--output", options->folder, "Folder to make; must not exist")->required();
  verb->add_flag("--no-progress", common.no_progress, "No progress line");
  verb->callback([options, &common] {
    const bool live = !common.no_progress && ::isatty(STDERR_FILENO) != 0;
    const double start = monotonic_seconds();
    int64_t shown = 0, total = 0;
    synthesize_checkpoint(options->name, options->folder, [&](int64_t done, int64_t all) {
      total = all;
      if (!live || (done - shown < all / 200 && done < all)) return;
      shown = done;
      std::fprintf(stderr, "\r%s of %s, %s/s ", format_bytes(done).c_str(),
                   format_bytes(all).c_str(),
                   format_bytes(static_cast<int64_t>(static_cast<double>(done) /
                                                     (monotonic_seconds() - start + 1e-9)))
                       .c_str());
    });
    if (live) std::fputc('\n', stderr);
    std::printf("%s: %s in %s (%s)\n", options->folder.c_str(), format_bytes(total).c_str(),
                format_seconds(monotonic_seconds() - start).c_str(),
                std::string(kSyntheticNote).c_str());
  });
}

}  // namespace ds4::cli

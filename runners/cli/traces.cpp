// `traces`: what a run's targets told of tokens, as a file that other runs are compared with.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "reports/compare/traces.h"
#include "runners/cli/verbs.h"

namespace ds4::cli {

void add_traces(CLI::App& app, Common& common) {
  struct Options {
    std::string run = "latest", output;
  };
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      app.add_subcommand("traces", "Write a run's log-probabilities to a file, to compare with");
  verb->footer(
      "Examples:\n"
      "  ds4-sweep traces 3f2a -o official.jsonl\n"
      "  ds4-sweep compare trace:official.jsonl latest\n"
      "JSON lines, one case each; docs/traces.md describes them.");
  verb->add_option("RUN", options->run, "Run id, a unique beginning of it, or `latest`")
      ->capture_default_str();
  verb->add_option("--db", common.db, "Database file")
      ->envname("DS4_SWEEP_DB")
      ->capture_default_str();
  verb->add_option("-o,--output", options->output, "File to write")->required();
  verb->callback([options, &common] {
    const auto store = reports::Store::open_read_only(common.db);
    const int64_t n = reports::write_traces(*store, store->run(options->run).id, options->output);
    std::fprintf(stderr, "%s: %lld traces\n", options->output.c_str(), static_cast<long long>(n));
  });
}

}  // namespace ds4::cli

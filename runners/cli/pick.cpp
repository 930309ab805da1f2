// `pick`: which cell of a run to use, why, and its profile.
#include "reports/pick/pick.h"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "engine/base/units.h"
#include "profiles/schema/cell_toml.h"
#include "runners/cli/verbs.h"

namespace ds4::cli {
namespace {

struct PickOptions {
  std::string run = "latest", max_memory, prefer = "decode", output;
  std::vector<std::string> min_quality;
  reports::Need need;
};

reports::Need need_of(const PickOptions& options) {
  using enum reports::Criterion;
  reports::Need need = options.need;
  if (!options.max_memory.empty()) need.max_memory = parse_bytes(options.max_memory);
  for (const auto criterion : {kDecode, kPrefill, kQuality, kMemory}) {
    if (options.prefer == reports::word(criterion)) need.prefer = criterion;
  }
  for (const std::string& pair : options.min_quality) {
    const size_t equals = pair.find('=');
    double value = -1;
    try {
      size_t end = 0;
      const std::string text = equals == std::string::npos ? "" : pair.substr(equals + 1);
      value = std::stod(text, &end);
      if (end != text.size()) value = -1;
    } catch (const std::logic_error&) {  // no number at all
    }
    if (!(value >= 0 && value <= 1)) {
      throw Error(ErrorCode::kUsage, "--min-quality " + pair + ": not of the form SUITE=SCORE",
                  "Write for example --min-quality needle=0.98.");
    }
    need.min_quality[pair.substr(0, equals)] = value;
  }
  return need;
}

}  // namespace

void add_pick(CLI::App& app, Common& common) {
  auto options = std::make_shared<PickOptions>();
  CLI::App* verb = app.add_subcommand("pick", "Recommend a cell for a need, and print its profile");
  verb->footer(
      "Examples:\n"
      "  ds4-sweep pick latest --context 200000 --max-memory 110GiB --min-quality needle=0.98\n"
      "  ds4-sweep pick 3f2a --prefer memory > best.toml && ds4-sweep run best.toml\n"
      "The reasons come as comments, so that the output is a profile. Exit code: 1 if no cell "
      "meets\n"
      "the need, else 0. docs/gates.md says how the cell is chosen.");
  verb->add_option("RUN", options->run, "Run id, a unique beginning of it, or `latest`")
      ->capture_default_str();
  verb->add_option("--db", common.db, "Database file")
      ->envname("DS4_SWEEP_DB")
      ->capture_default_str();
  verb->add_option("--context", options->need.context, "Tokens of prompt and answer together")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--max-memory", options->max_memory, "Memory it may take, e.g. 110GiB");
  verb->add_option("--min-quality", options->min_quality,
                   "SUITE=SCORE: least headline score of a suite; may be repeated");
  verb->add_option("--prefer", options->prefer, "What decides among the cells that meet the rest")
      ->check(CLI::IsMember({"decode", "prefill", "quality", "memory"}))
      ->capture_default_str();
  verb->add_option("--launch-noise", options->need.launch_noise,
                   "Spread between launches, assumed where a cell has one (see compare)")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  verb->add_option("-o,--output", options->output, "File for the profile, besides the output");
  verb->add_flag("--json", common.json, "Print as JSON");
  verb->callback([options, &common] {
    const auto store = reports::Store::open_read_only(common.db);
    const reports::RunRow run = store->run(options->run);
    const reports::Pick pick =
        reports::pick_cell(reports::load_run(*store, run.id, false), need_of(*options));
    std::string profile;
    if (pick.winner) {
      profile = profiles::cell_to_toml(
          profiles::cell_from_json(run.resolved_profile).profile,
          profiles::cell_from_json(pick.candidates[*pick.winner].cell.settings));
    }
    const std::string text = reports::pick_text(pick) + (profile.empty() ? "" : "\n" + profile);
    std::fputs(common.json ? reports::pick_json(pick, profile).c_str() : text.c_str(), stdout);
    if (pick.winner && !options->output.empty()) write_file_atomic(options->output, text);
    common.exit_code = pick.exit_code();
  });
}

}  // namespace ds4::cli

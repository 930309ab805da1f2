// `probe`: what this machine can do, measured without the engine: the ceilings its rates are held
// against. Measuring sits in probes/; this file chooses and shows how far it is.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <vector>

#include "engine/api/checkpoints.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/processors.h"
#include "engine/base/units.h"
#include "probes/device_probes.h"
#include "probes/host_speed.h"
#include "reports/published/published.h"
#include "reports/store/store.h"
#include "runners/cli/probe_roofline.h"
#include "runners/cli/probe_text.h"
#include "runners/cli/verbs.h"
#include "runners/machine_probes.h"

namespace ds4::cli {
namespace {

struct ProbeFlags {
  bool quick = false;
  std::string device = "cpu", scratch, against;
  std::vector<std::string> only;
  std::string checkpoint;
  runners::RooflineQuestion roofline{{}, {2048, 8192, 32768, 131072, 186000}};
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

ProbeResult measure(const ProbeFlags& flags, const Common& common) {
  runners::MachineProbes chosen =
      runners::choose_probes({flags.device, flags.quick, flags.only, flags.scratch});
  ProbeResult result;
  result.device = flags.device;
  result.quick = flags.quick;
  result.facts = chosen.facts;
  const ProbeLine line(common);
  const double begin = monotonic_seconds();
  result.series =
      runners::measure(std::move(chosen), [&](const auto& progress) { line.show(progress); });
  result.seconds = monotonic_seconds() - begin;
  return result;
}

// The two ceilings of the device that a model's passes are held against.
runners::MachineCeilings measure_ceilings(const std::string& device) {
  runners::MachineCeilings ceilings;
  ceilings.machine = "this machine";
  ceilings.source = "measured in this run";
  if (device == "cuda") {
    const probes::DeviceSpeed speed = probes::measure_device_speed();
    ceilings.read_rate = speed.read_rate;
    ceilings.product_rate = speed.bf16_rate;
    ceilings.product = speed.bf16_by;
  } else {
    const probes::HostSpeed speed = probes::measure_host_speed(usable_processors());
    ceilings.read_rate = speed.read_rate;
    ceilings.product_rate = speed.sgemm_rate;
    ceilings.product = "f32 sgemm";
  }
  return ceilings;
}

void show_roofline(const ProbeFlags& flags, const Common& common) {
  runners::RooflineQuestion question = flags.roofline;
  question.checkpoint = resolve_checkpoint(flags.checkpoint);
  std::vector<runners::Roofline> rooflines{
      runners::make_roofline(question, measure_ceilings(flags.device)),
      runners::make_roofline(question, reports::published_spark())};
  if (std::filesystem::exists(common.db)) {
    const auto store = reports::Store::open_read_only(common.db);
    runners::add_measured(*store, question.checkpoint, flags.device, rooflines.front());
  }
  std::fputs((common.json ? roofline_json(question, rooflines) : roofline_text(question, rooflines))
                 .c_str(),
             stdout);
}

}  // namespace

void add_probe(CLI::App& app, Common& common) {
  auto flags = std::make_shared<ProbeFlags>();
  CLI::App* verb = app.add_subcommand("probe", "What this machine can do at best");
  verb->footer(
      "docs/probes.md says what each ceiling is and why it is the limit.\nExamples:\n"
      "  ds4-sweep probe --quick\n  ds4-sweep probe --device cuda --quick --json\n"
      "  ds4-sweep probe --device cuda --only gemv,launch\n"
      "  ds4-sweep probe --device cuda --against spark-bandwidth\n"
      "  ds4-sweep probe --device cuda --checkpoint synthetic:k160 --context 8192,186000 --drafts "
      "2");
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
  verb->add_option("--against", flags->against,
                   "Name of published figures of a machine to show beside (`list published`)");
  CLI::Option* checkpoint = verb->add_option(
      "--checkpoint", flags->checkpoint,
      "Instead: the most tokens per second this machine can give for a checkpoint");
  verb->add_option("--context", flags->roofline.contexts, "Tokens in front of the decoded one")
      ->needs(checkpoint)
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  verb->add_option("--chunk", flags->roofline.chunk, "Tokens of a prefill chunk")
      ->needs(checkpoint)
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  verb->add_option("--drafts", flags->roofline.drafts, "Drafts checked in a round; 0 = none")
      ->needs(checkpoint)
      ->check(CLI::Range(0, 7));
  verb->add_option("--tokens-per-round", flags->roofline.tokens_per_round,
                   "What a round of drafts gives; without it all are kept")
      ->needs(checkpoint)
      ->check(CLI::Range(1.0, 8.0));
  verb->add_option("--db", common.db, "Database file with measured figures to show beside")
      ->needs(checkpoint);
  verb->add_flag("--no-progress", common.no_progress, "Do not show what is being measured");
  verb->add_flag("--json", common.json, "Print as JSON, with every pass");
  verb->callback([flags, &common] {
    if (!flags->checkpoint.empty()) return show_roofline(*flags, common);
    const reports::Published* against =
        flags->against.empty() ? nullptr : &reports::find_published(flags->against);
    const ProbeResult result = measure(*flags, common);
    std::fputs((common.json ? probe_json(result) : probe_table(result)).c_str(), stdout);
    if (against && !common.json) std::fputs(against_text(result, *against).c_str(), stdout);
    if (std::ranges::any_of(result.series, &probes::Series::refused)) {
      throw Error(ErrorCode::kMachine, "a figure was refused: no machine of this kind reaches it",
                  "The rows say which. It is a bug of the probe; please report it.");
    }
  });
}

}  // namespace ds4::cli

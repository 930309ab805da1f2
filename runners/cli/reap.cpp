// `reap observe|plan|prune|validate|show`: pruning of routed experts. Flags and progress only; the
// work is engine/reap's.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <map>

#include "engine/api/checkpoints.h"
#include "engine/api/reap.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/files.h"
#include "engine/base/units.h"
#include "runners/cli/reap_text.h"
#include "runners/cli/verbs.h"

namespace ds4::cli {
namespace {

constexpr int kInterrupted = 130;

volatile std::sig_atomic_t interrupted = 0;

// One live line on a terminal, a plain line every half minute elsewhere; nothing with --quiet.
class Ticker {
 public:
  explicit Ticker(const Common& common)
      : enabled_(!common.quiet && !common.no_progress), live_(::isatty(STDERR_FILENO)) {}
  ~Ticker() {
    if (shown_ && live_) std::fputs("\r\033[K", stderr);
  }
  void show(const std::string& text) {
    const double now = monotonic_seconds();
    if (!enabled_ || now - last_s_ < (live_ ? 0.2 : 30)) return;
    last_s_ = now;
    shown_ = true;
    std::fprintf(stderr, live_ ? "\r\033[K%s" : "%s\n", text.c_str());
    std::fflush(stderr);
  }

 private:
  bool enabled_, live_;
  bool shown_ = false;
  double last_s_ = monotonic_seconds();
};

std::string percent(int64_t done, int64_t total) {
  return format_number(total ? 100.0 * static_cast<double>(done) / static_cast<double>(total)
                             : 100) +
         " %";
}

// Hashes of large files are worth keeping; the same cache as `inspect --sha256`.
std::filesystem::path hash_cache() {
  make_folders("runs");
  return "runs/sha256.json";
}

void add_observe(CLI::App& reap, Common& common) {
  auto options = std::make_shared<reap::ObserveOptions>();
  CLI::App* verb = reap.add_subcommand(
      "observe", "Sum route weight x expert output norm over a calibration file; resumable");
  verb->add_option("--checkpoint", options->checkpoint, "Checkpoint folder")->required();
  verb->add_option("--calibration", options->calibration,
                   "*.jsonl with one {\"text\": ...} per line, or plain text")
      ->required();
  verb->add_option("--out", options->out, "Observation file; an unfinished one is continued")
      ->required();
  verb->add_option("--sequence", options->sequence_tokens, "Most tokens of a sequence")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  verb->add_option("--threads", options->threads, "CPU threads; 0 = all")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  verb->callback([options, &common] {
    options->checkpoint = resolve_checkpoint(options->checkpoint);
    options->hash_cache = hash_cache();
    std::signal(SIGINT, [](int) { interrupted = 1; });
    Ticker ticker(common);
    const auto observation = reap::observe(*options, [&](const reap::ObserveProgress& at) {
      ticker.show(percent(at.bytes_done, at.bytes_total) + " of the text, " +
                  format_count(at.tokens) + " tokens" +
                  (at.eta_s > 0 ? ", " + format_seconds(at.eta_s) + " left" : ""));
      return !interrupted;
    });
    if (!observation.complete) common.exit_code = kInterrupted;
    std::fprintf(stderr, "%s: %s tokens in %s sequences%s\n", options->out.c_str(),
                 format_count(observation.tokens).c_str(),
                 format_count(observation.sequences).c_str(),
                 observation.complete ? "" : "; interrupted, the same command goes on");
  });
}

void add_plan(CLI::App& reap) {
  struct Options {
    std::string observation, out;
    int keep = 0;
    std::vector<std::string> as;
  };
  auto options = std::make_shared<Options>();
  CLI::App* verb = reap.add_subcommand("plan", "Rank the experts of every block, keep the best K");
  verb->add_option("OBSERVATION", options->observation, "What `reap observe` wrote")->required();
  verb->add_option("--keep", options->keep, "Experts kept in every block")->required();
  verb->add_option("--as", options->as,
                   "BLOCK=OTHER: a block that was not observed takes the experts of another");
  verb->add_option("--out", options->out, "Plan file to write")->required();
  verb->callback([options] {
    std::map<std::string, std::string> as;
    for (const std::string& rule : options->as) {
      const size_t equals = rule.find('=');
      if (equals == std::string::npos) {
        throw Error(ErrorCode::kUsage, "--as " + rule + ": is not BLOCK=OTHER",
                    "For example --as mtp.0=layers.42.");
      }
      as[rule.substr(0, equals)] = rule.substr(equals + 1);
    }
    const auto observation = reap::read_observation(options->observation);
    write_file_atomic(options->out,
                      reap::plan_text(reap::make_plan(observation, options->keep, as)));
  });
}

void add_prune(CLI::App& reap, Common& common) {
  struct Options {
    reap::PruneOptions prune;
    int keep = 0;
    bool dry_run = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* verb = reap.add_subcommand("prune", "Write the pruned checkpoint, shard by shard");
  verb->add_option("SOURCE", options->prune.source, "Folder of the checkpoint to prune")
      ->required();
  CLI::Option* plan = verb->add_option("--plan", options->prune.plan, "Plan of `reap plan`");
  CLI::Option* out = verb->add_option("--out", options->prune.out, "Folder to make");
  verb->add_flag("--transfer", options->prune.transfer,
                 "The plan was made for another checkpoint of the same structure");
  CLI::Option* dry = verb->add_flag("--dry-run", options->dry_run, "Print sizes from headers alone")
                         ->excludes(out);
  verb->add_option("--keep", options->keep, "With --dry-run instead of a plan: experts kept")
      ->needs(dry)
      ->excludes(plan);
  verb->add_flag("--json", common.json, "Print as JSON");
  verb->callback([options, &common] {
    if (options->prune.plan.empty() && options->keep == 0) {
      throw Error(ErrorCode::kUsage, "no plan", "Give --plan FILE, or --dry-run --keep K.");
    }
    reap::PruneSizes sizes;
    if (options->dry_run) {
      const int keep = options->keep ? options->keep : reap::read_plan(options->prune.plan).keep;
      sizes = reap::prune_sizes(options->prune.source, keep);
    } else {
      if (options->prune.out.empty()) {
        throw Error(ErrorCode::kUsage, "no --out", "Name the folder to make, or give --dry-run.");
      }
      options->prune.hash_cache = hash_cache();
      Ticker ticker(common);
      const double start_s = monotonic_seconds();
      sizes = reap::prune(options->prune, [&](int64_t done, int64_t total) {
        const double rate = static_cast<double>(done) / (monotonic_seconds() - start_s + 1e-9);
        ticker.show(percent(done, total) + " of " + format_bytes(total) +
                    (done
                         ? ", " + format_seconds(static_cast<double>(total - done) / rate) + " left"
                         : ""));
      });
    }
    std::fputs((common.json ? sizes_json(sizes) : sizes_text(sizes)).c_str(), stdout);
  });
}

void add_validate(CLI::App& reap, Common& common) {
  auto options = std::make_shared<reap::ValidateOptions>();
  CLI::App* verb =
      reap.add_subcommand("validate", "Check a pruned checkpoint, alone or against its parent");
  verb->add_option("DIR", options->checkpoint, "Folder of the pruned checkpoint")->required();
  verb->add_option("--source", options->source, "Folder of the parent: compare every tensor");
  verb->add_flag("--requantised", options->requantised,
                 "Stored bytes may differ: judge dequantised values");
  verb->add_option("--min-cosine", options->min_cosine, "Least cosine of a requantised tensor")
      ->capture_default_str();
  verb->add_option("--max-relative-mae", options->max_relative_mae,
                   "Largest sum |a-b| / sum |b| of a requantised tensor")
      ->capture_default_str();
  verb->add_flag("--json", common.json, "Print as JSON");
  verb->callback([options, &common] {
    options->checkpoint = resolve_checkpoint(options->checkpoint);
    const reap::Validation result = reap::validate(*options);
    std::fputs((common.json ? validation_json(result) : validation_text(result)).c_str(), stdout);
    common.exit_code = result.failures.empty() ? 0 : 1;
  });
}

void add_show(CLI::App& reap) {
  auto file = std::make_shared<std::string>();
  CLI::App* verb = reap.add_subcommand("show", "Print an observation or a plan as a table");
  verb->add_option("FILE", *file, "What `reap observe` or `reap plan` wrote")->required();
  verb->callback([file] {
    // The two formats tell themselves apart by their first key.
    const std::string text = read_file(*file);
    const bool plan = text.substr(0, 200).find("ds4-reap-plan-") != std::string::npos;
    std::fputs((plan ? plan_table(reap::read_plan(*file))
                     : observation_table(reap::read_observation(*file)))
                   .c_str(),
               stdout);
  });
}

}  // namespace

void add_reap(CLI::App& app, Common& common) {
  CLI::App* verb =
      app.add_subcommand("reap", "Prune routed experts: observe, plan, prune, validate");
  verb->footer("");  // the parts take over what stands here when they are made
  verb->require_subcommand(1);
  add_observe(*verb, common);
  add_plan(*verb);
  add_prune(*verb, common);
  add_validate(*verb, common);
  add_show(*verb);
  verb->footer(
      "Examples:\n"
      "  ds4-sweep reap observe --checkpoint DIR --calibration text.jsonl --out seen.json\n"
      "  ds4-sweep reap plan seen.json --keep 160 --out k160.json\n"
      "  ds4-sweep reap prune DIR --dry-run --keep 160\n"
      "  ds4-sweep reap prune DIR --plan k160.json --out DIR-k160\n"
      "  ds4-sweep reap validate DIR-k160 --source DIR\n"
      "  ds4-sweep reap show k160.json\n"
      "Exit codes of validate: 0 valid, 1 not valid, 2 usage or a file that cannot be read, 3 the\n"
      "machine. docs/reap.md says what is computed.");
}

}  // namespace ds4::cli

// `guard`: the memory guard by hand: for a server somebody else started, or on a recorded trace.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/units.h"
#include "probes/host_memory.h"
#include "runners/cli/verbs.h"
#include "runners/guard/attach.h"
#include "runners/guard/guard_process.h"
#include "runners/guard/replay.h"

namespace ds4::cli {
namespace {

namespace guard = runners::guard;

struct GuardOptions {
  std::string replay, container, floor, telemetry, reaction, grace, phase = "idle";
  int64_t pid = 0;
  int rate = 0;
};

// The limits of the trace or of this machine, with what the flags say.
guard::Limits limits_of(const GuardOptions& options, std::optional<guard::Limits> recorded) {
  guard::Limits limits;
  if (recorded) {
    limits = *recorded;
  } else {
    limits.floor_bytes.fill(guard::default_floor(probes::read_machine_memory().total_bytes));
  }
  if (!options.floor.empty()) limits.floor_bytes.fill(parse_bytes(options.floor));
  if (options.rate > 0) limits.rate_hz = options.rate;
  const auto seconds = [](const std::string& text) {
    return static_cast<double>(parse_duration(text).count()) / 1000;
  };
  if (!options.reaction.empty()) limits.reaction_s = seconds(options.reaction);
  if (!options.grace.empty()) limits.grace_s = seconds(options.grace);
  return limits;
}

void print_verdict(const std::optional<guard::Verdict>& verdict, const Common& common,
                   const char* nothing) {
  if (common.json) {
    std::puts(verdict ? to_json(*verdict).c_str() : "null");
  } else {
    std::puts(verdict ? explain(*verdict).c_str() : nothing);
  }
}

std::optional<guard::Verdict> run_replay(const GuardOptions& options, const Common& common) {
  const guard::Trace trace = guard::read_trace(options.replay);
  if (!trace.limits && options.floor.empty()) {
    throw Error(ErrorCode::kUsage, options.replay + ": records no limits",
                "Name the floor it is to be held against: --floor 6GiB.");
  }
  const auto verdict = guard::replay(trace, limits_of(options, trace.limits));
  if (verdict && !common.json) std::printf("after %s: ", format_seconds(verdict->time_s).c_str());
  print_verdict(verdict, common, "no rule fires");
  return verdict;
}

std::optional<guard::Verdict> run_attached(const GuardOptions& options, const Common& common) {
  const auto phase = guard::phase_of(options.phase);
  if (!phase) {
    throw Error(ErrorCode::kUsage, "--phase " + options.phase + ": no phase of a guard",
                "It is one of load, capture, prefill, decode, idle, teardown.");
  }
  guard::Setup setup;
  setup.limits = limits_of(options, std::nullopt);
  setup.telemetry = options.telemetry;
  const std::string target = options.container.empty() ? "pid:" + std::to_string(options.pid)
                                                       : "container:" + options.container;
  const auto verdict = guard::attach(setup, target, *phase, [&](const guard::Watch& watch) {
    if (common.quiet) return;
    std::fprintf(stderr, "guarding %s: %s available, floor %s\n", target.c_str(),
                 format_bytes(watch.newest().available).c_str(),
                 format_bytes(setup.limits.floor(*phase)).c_str());
    for (const std::string& note : watch.notes()) std::fprintf(stderr, "  %s\n", note.c_str());
  });
  print_verdict(verdict, common,
                "not needed: the target ended by itself, or the guard was stopped");
  return verdict;
}

}  // namespace

void add_guard(CLI::App& app, Common& common) {
  auto options = std::make_shared<GuardOptions>();
  CLI::App* verb =
      app.add_subcommand("guard", "End a process group before memory runs out, or replay a trace");
  verb->footer(
      "Examples:\n"
      "  ds4-sweep guard --pid 4711 --floor 6GiB --telemetry server.jsonl\n"
      "  ds4-sweep guard --container 3f2a9c41b7de --floor 6GiB --json\n"
      "  ds4-sweep guard --replay runs/3f2a9c41/telemetry-0123456789abcdef-1.jsonl --floor 8GiB\n"
      "`run` guards its own workers; docs/guard.md has the rules.\n"
      "Exit codes: 0 nothing fired; 10 the target ended when told to; 11 killed; 12 killed, "
      "memory\ncould not be read; 14 under the floor already, nothing done; 2 usage; 3 machine.");
  auto* replay = verb->add_option("--replay", options->replay, "What would be done on this trace");
  auto* pid = verb->add_option("--pid", options->pid, "Leader of the process group to guard");
  auto* container =
      verb->add_option("--container", options->container, "Id of the container to guard");
  pid->excludes(replay)->excludes(container);
  container->excludes(replay);
  verb->add_option("--floor", options->floor,
                   "MemAvailable that must stay (default: a twentieth of memory, at most 6 GiB; "
                   "of a trace: what it records)");
  verb->add_option("--rate", options->rate, "Readings per second (default 10)")
      ->check(CLI::Range(5, 50));
  verb->add_option("--reaction", options->reaction,
                   "A floor nearer than this counts as reached (default 500ms)");
  verb->add_option("--grace", options->grace, "Time between TERM and KILL (default 5s)");
  verb->add_option("--phase", options->phase, "Phase that telemetry and verdict name")
      ->capture_default_str();
  verb->add_option("--telemetry", options->telemetry, "File to record every reading in");
  verb->add_flag("--json", common.json, "Print the verdict as JSON; null when nothing fired");
  verb->add_flag("-q,--quiet", common.quiet, "Say nothing when it begins");
  verb->callback([options, replay, pid, container, &common] {
    if (replay->count() + pid->count() + container->count() == 0) {
      throw Error(ErrorCode::kUsage, "guard: nothing to guard",
                  "Name --pid PID, --container ID or --replay TRACE.");
    }
    common.exit_code = guard::guard_exit_code(replay->count() ? run_replay(*options, common)
                                                              : run_attached(*options, common));
  });
}

}  // namespace ds4::cli

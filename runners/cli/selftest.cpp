// `selftest`: is this engine, on this machine, the model it claims to be? Prints each check of each
// device that is there and, on failure, the mechanisms to look at first.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/api/checkpoints.h"
#include "engine/api/selftest.h"
#include "engine/base/error.h"
#include "engine/base/version.h"
#include "runners/cli/console.h"
#include "runners/cli/verbs.h"

namespace ds4::cli {
namespace {

// What a check is there for: the last of its mechanisms, the others being what it needs besides.
std::string guarded(const SelftestCheck& check) {
  if (check.mechanisms.empty()) return "anything";
  return check.mechanisms.size() > 12 ? "all of these together" : check.mechanisms.back();
}

void print_check(const SelftestCheck& check, bool colour) {
  const char* mark = check.passed ? "pass" : "FAIL";
  const char* begin = !colour ? "" : check.passed ? "\x1b[32m" : "\x1b[31m";
  std::printf("%s%s%s  %-24s ", begin, mark, colour ? "\x1b[0m" : "", check.name.c_str());
  if (check.note.empty()) {
    std::printf("%8.1e %s %-7.0e %6.0f ms  %s\n", check.error, check.passed ? "<=" : "> ",
                check.bound, check.seconds * 1000, guarded(check).c_str());
  } else {
    std::printf("%s\n", check.note.c_str());
  }
  std::fflush(stdout);
}

void print_end(const SelftestReport& report, const std::string& name, double seconds) {
  int failed = 0;
  for (const SelftestCheck& check : report.checks) failed += !check.passed;
  if (report.passed()) {
    std::printf("%s: all %zu checks pass in %.1f s\n", name.c_str(), report.checks.size(), seconds);
    return;
  }
  std::printf("%s: %d of %zu checks fail%s\n", name.c_str(), failed, report.checks.size(),
              report.suspects.empty() ? "" : "; look first at:");
  for (const std::string& suspect : report.suspects) std::printf("  %s\n", suspect.c_str());
}

void print_reach(const SelftestReport& report) {
  std::puts(report.has_golden_run
                ? "the checkpoint was held against its golden run (selftest/golden.safetensors)"
                : "the checkpoint has no golden run (selftest/golden.safetensors): nothing here "
                  "tells\nwhether its answers are right, only whether it agrees with itself");
}

nlohmann::ordered_json to_json(const SelftestReport& report, const std::string& name,
                               bool with_checkpoint) {
  nlohmann::ordered_json object{
      {"device", name}, {"passed", report.passed()}, {"suspects", report.suspects}};
  if (with_checkpoint) object["golden_run"] = report.has_golden_run;
  for (const SelftestCheck& check : report.checks) {
    nlohmann::ordered_json row{{"name", check.name},       {"passed", check.passed},
                               {"error", check.error},     {"bound", check.bound},
                               {"seconds", check.seconds}, {"mechanisms", check.mechanisms}};
    if (!check.note.empty()) row["note"] = check.note;
    object["checks"].push_back(row);
  }
  return object;
}

struct Flags {
  SelftestOptions options;
  std::optional<Device> device;  // default: all that are there
};

/// Runs the checks on one device and reports them.
void run_on(Device device, const std::string& name, SelftestOptions options, Common& common,
            nlohmann::ordered_json& result) {
  const bool colour = use_colour(STDOUT_FILENO, common);
  options.device = device;
  double seconds = 0;
  const auto show = [&](const SelftestCheck& check) {
    seconds += check.seconds;
    if (!common.json) print_check(check, colour);
  };
  if (!common.json) {
    std::printf("%s\n      check                       error    bound     time  guards\n",
                name.c_str());
  }
  const SelftestReport report = run_selftest(options, Engine::load, show);
  if (!common.json) {
    print_end(report, name, seconds);
    if (!options.checkpoint.empty()) print_reach(report);
  }
  result["passed"] = result["passed"] && report.passed();
  result["devices"].push_back(to_json(report, name, !options.checkpoint.empty()));
}

void run(const Flags& flags, Common& common) {
  nlohmann::ordered_json result{{"format", 2}, {"version", kVersion}, {"passed", true}};
  if (flags.device != Device::kCuda) run_on(Device::kCpu, "cpu", flags.options, common, result);
  if (flags.device != Device::kCpu) {
    std::string name;
    try {
      name = gpu_name();
    } catch (const Error& error) {
      if (flags.device) throw;
      result["no_gpu"] = error.what();
      if (!common.json) std::printf("no GPU was tested: %s\n", error.what());
    }
    if (!name.empty()) run_on(Device::kCuda, "cuda, " + name, flags.options, common, result);
  }
  if (common.json) std::puts(result.dump(1).c_str());
  common.exit_code = result["passed"] ? 0 : 1;
}

}  // namespace

void add_selftest(CLI::App& app, Common& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = app.add_subcommand("selftest", "Check every mechanism of the engine");
  verb->footer(
      "Examples:\n"
      "  ds4-sweep selftest\n"
      "  ds4-sweep selftest --checkpoint checkpoints/tiny --json\n"
      "The CPU is tested, and the GPU where this build and this machine have one; the last line "
      "says\n"
      "when none was. A named checkpoint is loaded and read about 30 times: seconds for a small "
      "one,\n"
      "hours for one of real size. Errors are relative to the largest golden logit. Exit code 1: a "
      "check\n"
      "fails; the mechanisms that would explain the failures are named, likeliest first "
      "(docs/faults.md).");
  static const std::map<std::string, Device> kDevice{{"cpu", Device::kCpu},
                                                     {"cuda", Device::kCuda}};
  verb->add_option("--device", flags->device, "Only this one: cpu or cuda")
      ->transform(CLI::CheckedTransformer(kDevice));
  verb->add_option("--checkpoint", flags->options.checkpoint,
                   "Also this one: structure, golden run if it has one, precisions, promises");
  verb->add_option("--threads", flags->options.threads, "CPU threads; 0 = all")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  verb->add_flag("--json", common.json, "Print the result as one JSON object");
  add_color_flag(verb, common);
  verb->callback([flags, &common] {
    flags->options.checkpoint = resolve_checkpoint(flags->options.checkpoint);
    run(*flags, common);
  });
}

}  // namespace ds4::cli

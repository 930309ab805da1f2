// `selftest`: is this engine, on this machine, the model it claims to be? Prints each check and, on
// failure, the mechanisms to look at first.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "engine/api/selftest.h"
#include "engine/base/version.h"
#include "runners/cli/console.h"
#include "runners/cli/verbs.h"

namespace ds4::cli {
namespace {

// What a check is there for: the last of its mechanisms, the others being what it needs besides.
std::string guarded(const SelftestCheck& check) {
  return check.mechanisms.size() > 12 ? "all of these together" : check.mechanisms.back();
}

void print_check(const SelftestCheck& check, bool colour) {
  const char* mark = check.passed ? "pass" : "FAIL";
  const char* begin = !colour ? "" : check.passed ? "\x1b[32m" : "\x1b[31m";
  std::printf("%s%s%s  %-20s %8.1e %s %-7.0e %6.0f ms  %s\n", begin, mark, colour ? "\x1b[0m" : "",
              check.name.c_str(), check.error, check.passed ? "<=" : "> ", check.bound,
              check.seconds * 1000, guarded(check).c_str());
  if (!check.note.empty()) std::printf("      %s\n", check.note.c_str());
  std::fflush(stdout);
}

void print_end(const SelftestReport& report, double seconds) {
  int failed = 0;
  for (const SelftestCheck& check : report.checks) failed += !check.passed;
  if (report.passed()) {
    std::printf("all %zu checks pass in %.1f s\n", report.checks.size(), seconds);
    return;
  }
  std::printf("%d of %zu checks fail; look first at:\n", failed, report.checks.size());
  for (const std::string& suspect : report.suspects) std::printf("  %s\n", suspect.c_str());
}

std::string to_json(const SelftestReport& report, const std::string& device) {
  nlohmann::ordered_json object{{"format", 1},
                                {"version", kVersion},
                                {"device", device},
                                {"passed", report.passed()},
                                {"suspects", report.suspects}};
  for (const SelftestCheck& check : report.checks) {
    nlohmann::ordered_json row{{"name", check.name},       {"passed", check.passed},
                               {"error", check.error},     {"bound", check.bound},
                               {"seconds", check.seconds}, {"mechanisms", check.mechanisms}};
    if (!check.note.empty()) row["note"] = check.note;
    object["checks"].push_back(row);
  }
  return object.dump(1);
}

void run(const SelftestOptions& options, Common& common) {
  const bool colour = use_colour(STDOUT_FILENO, common);
  double seconds = 0;
  const auto show = [&](const SelftestCheck& check) {
    seconds += check.seconds;
    if (!common.json) print_check(check, colour);
  };
  if (!common.json) std::printf("      check                   error    bound     time  guards\n");
  const SelftestReport report = run_selftest(options, Engine::load, show);
  if (common.json) {
    std::puts(to_json(report, options.device == Device::kCpu ? "cpu" : "cuda").c_str());
  } else {
    print_end(report, seconds);
  }
  common.exit_code = report.passed() ? 0 : 1;
}

}  // namespace

void add_selftest(CLI::App& app, Common& common) {
  auto options = std::make_shared<SelftestOptions>();
  CLI::App* verb = app.add_subcommand("selftest", "Check every mechanism of the engine");
  verb->footer(
      "Examples:\n"
      "  ds4-sweep selftest\n"
      "  ds4-sweep selftest --checkpoint checkpoints/tiny --json\n"
      "Errors are relative to the largest golden logit. Exit code 1: a check fails; the "
      "mechanisms\n"
      "that would explain the failures are named, likeliest first (docs/faults.md).");
  static const std::map<std::string, Device> kDevice{{"cpu", Device::kCpu},
                                                     {"cuda", Device::kCuda}};
  verb->add_option("--device", options->device, "cpu or cuda")
      ->transform(CLI::CheckedTransformer(kDevice));
  verb->add_option("--checkpoint", options->checkpoint,
                   "Also check chunks, rollback, reuse and batches on this checkpoint");
  verb->add_option("--threads", options->threads, "CPU threads; 0 = all")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  verb->add_flag("--json", common.json, "Print the result as one JSON object");
  verb->add_flag("--no-color", common.no_color, "No colours");
  verb->callback([options, &common] { run(*options, common); });
}

}  // namespace ds4::cli

// Runs the checks one after another and asks the diagnosis what their pattern means.
#include <algorithm>
#include <cmath>
#include <exception>
#include <limits>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/selftest/check.h"
#include "engine/selftest/diagnosis.h"
#include "engine/selftest/micro_models.h"

namespace ds4 {

bool SelftestReport::passed() const {
  return !checks.empty() && std::all_of(checks.begin(), checks.end(),
                                        [](const SelftestCheck& check) { return check.passed; });
}

namespace selftest {

EngineSettings Bench::settings(Precision precision, int64_t context, int chunk) const {
  EngineSettings settings;
  settings.device = device;
  settings.precision = precision;
  settings.context_length = context;
  settings.prefill_chunk = chunk;
  settings.threads = threads;
  return settings;
}

double relative_error(std::span<const float> got, std::span<const float> want) {
  if (got.size() != want.size()) return std::numeric_limits<double>::infinity();
  double largest = 0;
  double error = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    if (!std::isfinite(got[i]) || !std::isfinite(want[i])) {
      return std::numeric_limits<double>::infinity();
    }
    largest = std::max(largest, std::fabs(double{want[i]}));
    error = std::max(error, std::fabs(double{got[i]} - want[i]));
  }
  return error > 0 ? error / largest : 0;
}

namespace {

SelftestCheck run_check(const Check& check, const Bench& bench) {
  SelftestCheck result;
  result.name = check.name;
  result.mechanisms = check.mechanisms;
  const double start = monotonic_seconds();
  try {
    const Measured measured = check.run(bench);
    result.error = measured.error;
    result.bound = measured.bound;
    result.passed = measured.error <= measured.bound;
  } catch (const std::exception& error) {
    result.note = error.what();
  }
  result.seconds = monotonic_seconds() - start;
  return result;
}

}  // namespace
}  // namespace selftest

SelftestReport run_selftest(const SelftestOptions& options, const EngineFactory& make,
                            const std::function<void(const SelftestCheck&)>& done) {
  const selftest::MicroModels models;
  const selftest::Bench bench{make, options.device, options.threads, models.scratch()};
  // A device that is not there is no failed check: let the error out.
  make(models.folder() / "plain", bench.settings(Precision::kReference, 64, 64));

  SelftestReport report;
  const auto run = [&](const std::vector<selftest::Check>& checks) {
    for (const selftest::Check& check : checks) {
      report.checks.push_back(selftest::run_check(check, bench));
      if (done) done(report.checks.back());
    }
  };
  run(selftest::golden_checks(models.folder()));
  run(selftest::promise_checks(models.folder() / "whole", "", true));
  if (!options.checkpoint.empty()) {
    run({selftest::structure_check(options.checkpoint)});
    // What does not load would fail all others in the same words.
    if (report.checks.back().passed) run(selftest::checkpoint_checks(options.checkpoint));
    report.has_golden_run = selftest::has_golden_run(options.checkpoint);
  }
  report.suspects = selftest::suspects(report.checks);
  return report;
}

}  // namespace ds4

// The self-test: checks that each guard named mechanisms of the model or promises of the engine,
// and what a pattern of failures points at. It drives engines through their public interface only,
// so whatever a factory makes can be put to the same test.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/api/session.h"

namespace ds4 {

/// Makes the engines that the checks drive; Engine::load, unless a test wants another one.
using EngineFactory = std::function<std::unique_ptr<Engine>(const std::filesystem::path& checkpoint,
                                                            const EngineSettings& settings)>;

struct SelftestCheck {
  std::string name;
  std::vector<std::string> mechanisms;  // what a fault must touch to make it fail; none: anything
  bool passed = false;
  double error = 0;  // largest, or for a rounded precision upper-quartile, difference of a logit
  double bound = 0;  // relative to the largest golden logit; passed: error <= bound
  double seconds = 0;
  std::string note;  // why there is no error to give: what the engine threw
};

struct SelftestReport {
  std::vector<SelftestCheck> checks;
  /// Mechanisms that would explain the failures, likeliest first; see suspects() in diagnosis.h.
  std::vector<std::string> suspects;
  /// The named checkpoint was held against a golden run. Without one it was only held against
  /// itself, which a wrong model may pass.
  bool has_golden_run = false;
  bool passed() const;
};

struct SelftestOptions {
  Device device = Device::kCpu;
  int threads = 1;                   // the models are too small for more to pay
  std::filesystem::path checkpoint;  // if set, it is checked too
};

/// Runs every check; `done` is called after each. Throws Error(kMachine) when the device is missing
/// and Error(kIo) when the temporary folder cannot be written.
SelftestReport run_selftest(const SelftestOptions& options, const EngineFactory& make,
                            const std::function<void(const SelftestCheck&)>& done = nullptr);

}  // namespace ds4

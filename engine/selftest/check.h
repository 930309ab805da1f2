// What a check is: a name, the mechanisms it exercises and a measurement with its bound.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "engine/api/selftest.h"

namespace ds4::selftest {

/// What checks work with.
struct Bench {
  const EngineFactory& make;
  Device device = Device::kCpu;
  int threads = 1;

  EngineSettings settings(Precision precision, int64_t context, int chunk) const;
};

/// Sizes as in SelftestCheck.
struct Measured {
  double error = 0;
  double bound = 0;
};

struct Check {
  std::string name;
  std::vector<std::string> mechanisms;
  std::function<Measured(const Bench&)> run;
};

/// Logits of micro-models against the golden ones of the reference (tests/golden/make_micro.py),
/// and draws against those of its generator. `models` is the folder of unpacked models.
std::vector<Check> golden_checks(const std::filesystem::path& models);

/// Promises that need no reference: equal bits whatever way a timeline came about. `label` tells
/// checkpoints apart in the names; empty for the micro-model.
std::vector<Check> promise_checks(const std::filesystem::path& checkpoint,
                                  const std::string& label);

/// max|got - want| over max|want|, both [n, vocab]; infinite when sizes differ or a number is NaN.
double relative_error(std::span<const float> got, std::span<const float> want);

}  // namespace ds4::selftest

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
  std::filesystem::path scratch = {};  // a folder for files, empty at first

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

/// Promises that need no reference: equal bits whatever way a timeline came about. `prefix` tells
/// checkpoints apart in the names; empty for the micro-model. `drafts`: it has MTP blocks.
std::vector<Check> promise_checks(const std::filesystem::path& checkpoint,
                                  const std::string& prefix, bool drafts);

/// Whether a golden run lies beside the weights.
bool has_golden_run(const std::filesystem::path& checkpoint);
/// Does it load: every tensor there, of the right type and shape.
Check structure_check(const std::filesystem::path& checkpoint);
/// All else about a checkpoint that loads: its golden run if it has one, the precisions beside each
/// other, the promises.
std::vector<Check> checkpoint_checks(const std::filesystem::path& checkpoint);

/// max|got - want| over max|want|, both [n, vocab]; infinite when sizes differ or a number is NaN.
double relative_error(std::span<const float> got, std::span<const float> want);

}  // namespace ds4::selftest

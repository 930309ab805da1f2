// The cases of the suite bandwidth_roofline, which measure instead of asking.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "suites/suite.h"

namespace ds4::suites {

/// The group of the case that takes the engine's steps apart.
inline constexpr const char* kBreakdown = "breakdown";

/// What is measured of the machine that a cell runs on, or of the steps of its engine.
struct Probing {
  std::string group;    // of probes: "ceilings", "launch", "gemv", "paths"; or kBreakdown
  bool quick = true;    // fewer passes and sizes
  std::string device;   // "cpu", "cuda"; "cell" = where the cell's engine computes
  int64_t context = 0;  // of "breakdown": tokens in front of the step
};

/// Whether the cases of a suite measure the machine. They run before the target is opened, and what
/// was found is their answer.
bool probes_machine(std::string_view suite);

/// What a case of such a suite measures. Throws Error(kProfile) on bad values.
Probing probing_of(const Parameters& parameters, const CaseSpec& spec);

}  // namespace ds4::suites

// The accessor each suite's file defines; registry.cpp lists them.
#pragma once

#include "suites/suite.h"

namespace ds4::suites {

const Suite& smoke_suite();
const Suite& arithmetic_suite();
const Suite& tool_calls_suite();
const Suite& long_code_suite();
const Suite& needle_suite();
const Suite& speed_suite();
const Suite& throughput_suite();
const Suite& frontier_suite();
const Suite& speculation_suite();
const Suite& prefix_cache_suite();
const Suite& logits_suite();
const Suite& garble_suite();
const Suite& gsm8k_suite();
const Suite& bfcl_suite();
const Suite& diagrams_suite();
const Suite& explain_suite();
const Suite& philosophy_suite();
const Suite& toolcall15_suite();
const Suite& tool_fidelity_suite();
const Suite& bandwidth_roofline_suite();

}  // namespace ds4::suites

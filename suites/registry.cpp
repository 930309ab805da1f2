// The single list of suites: add a line here (and its accessor in registry.h) to add one.
#include "suites/registry.h"

#include <array>

namespace ds4::suites {

std::span<const Suite* const> all_suites() {
  static const std::array list = {
      &smoke_suite(),         &arithmetic_suite(),
      &tool_calls_suite(),    &long_code_suite(),
      &needle_suite(),        &speed_suite(),
      &throughput_suite(),    &gsm8k_suite(),
      &bfcl_suite(),          &toolcall15_suite(),
      &tool_fidelity_suite(), &diagrams_suite(),
      &frontier_suite(),      &explain_suite(),
      &philosophy_suite(),    &prefix_cache_suite(),
      &speculation_suite(),   &logits_suite(),
      &garble_suite(),        &bandwidth_roofline_suite(),
  };
  return list;
}

const Suite* find_suite(std::string_view name) {
  for (const Suite* suite : all_suites()) {
    if (suite->name() == name) return suite;
  }
  return nullptr;
}

}  // namespace ds4::suites

// A server's metrics and log lines, whatever they are: read without a throw, and only finite
// figures come of them.
#include <cmath>

#include "runners/managed/log_facts.h"
#include "runners/managed/prometheus.h"
#include "tests/fuzz/fuzz.h"

using namespace ds4;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text = fuzz::as_text(data, size);
  for (const auto& sample : runners::managed::samples_of_metrics(text, 1)) {
    fuzz::require(std::isfinite(sample.value), "a figure is finite");
  }
  runners::managed::LogFacts facts;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    facts.line(text.substr(0, end), 1);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  for (const auto& sample : facts.take()) {
    fuzz::require(std::isfinite(sample.value) && sample.value >= 0, "a fact is finite");
  }
  return 0;
}

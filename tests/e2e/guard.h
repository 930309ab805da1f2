// What a guard leaves behind after a scripted run.
#pragma once

#include <nlohmann/json.hpp>

#include "tests/e2e/outcomes.h"

namespace ds4::test_support {

/// The telemetry of the newest run's launches, as lines.
inline std::vector<std::vector<nlohmann::json>> telemetry(const Sweep& sweep) {
  std::vector<std::vector<nlohmann::json>> files;
  const auto store = sweep.store();
  const std::string run = store->run("latest").id;
  for (const auto& launch : store->launches(run)) {
    const auto path =
        sweep.folder() / run.substr(0, 8) /
        ("telemetry-" + launch.cell_key + "-" + std::to_string(launch.number) + ".jsonl");
    std::vector<nlohmann::json> lines;
    std::string text = read_file(path);
    for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
      lines.push_back(nlohmann::json::parse(text.substr(at, end - at)));
    }
    files.push_back(lines);
  }
  return files;
}

}  // namespace ds4::test_support

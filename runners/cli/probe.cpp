// `probe`: what this machine can do, measured without the engine: the ceilings its rates are held
// against. Measuring sits in probes/; this file chooses, sums up and prints.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

#include "engine/base/units.h"
#include "probes/host_speed.h"
#include "probes/metric.h"
#include "runners/cli/verbs.h"
#include "runners/machine.h"

namespace ds4::cli {
namespace {

// Seconds of repeating; making buffers and kernels comes on top.
constexpr double kQuick_s = 5;
constexpr double kThorough_s = 30;

struct Row {
  std::string metric, phase;
  std::vector<double> values;
};

std::vector<Row> by_metric(const std::vector<probes::Sample>& samples) {
  std::vector<Row> rows;
  for (const probes::Sample& sample : samples) {
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& r) {
      return r.metric == sample.metric && r.phase == sample.phase;
    });
    if (row != rows.end()) {
      row->values.push_back(sample.value);
    } else {
      rows.push_back({sample.metric, sample.phase, {sample.value}});
    }
  }
  for (Row& row : rows) std::sort(row.values.begin(), row.values.end());
  return rows;
}

// 36.8 GB/s: decimal prefixes, as bandwidths and operation rates are quoted.
std::string rate_text(double value, std::string_view unit) {
  if (unit == "1") return format_number(value);
  return format_number(value / 1e9) + " G" + std::string(unit);
}

void print_table(const std::vector<probes::Sample>& samples) {
  std::printf("%-12s %-12s %14s %14s %4s\n", "metric", "with", "best", "median", "n");
  for (const Row& row : by_metric(samples)) {
    const std::string_view unit = probes::find_metric(row.metric)->unit;
    std::printf("%-12s %-12s %14s %14s %4zu\n", row.metric.c_str(), row.phase.c_str(),
                rate_text(row.values.back(), unit).c_str(),
                rate_text(row.values[row.values.size() / 2], unit).c_str(), row.values.size());
  }
  std::puts("Shares well under 1: other processes took the cores, and the rates are lower bounds.");
}

void print_json(const std::vector<probes::Sample>& samples) {
  nlohmann::ordered_json object;
  object["format"] = "ds4-probe-1";
  object["machine"] = nlohmann::json::parse(runners::describe_machine());
  object["samples"] = nlohmann::ordered_json::array();
  for (const probes::Sample& s : samples) {
    object["samples"].push_back({{"metric", s.metric},
                                 {"value", s.value},
                                 {"unit", probes::find_metric(s.metric)->unit},
                                 {"time_s", s.time_s},
                                 {"phase", s.phase}});
  }
  std::puts(object.dump(2).c_str());
}

}  // namespace

void add_probe(CLI::App& app, Common& common) {
  auto quick = std::make_shared<bool>(false);
  CLI::App* verb = app.add_subcommand("probe", "What this machine's processors can do at best");
  verb->footer("Examples:\n  ds4-sweep probe --quick\n  ds4-sweep probe --quick --json");
  verb->add_flag("--quick", *quick, "A few seconds instead of half a minute of repeating");
  verb->add_flag("--json", common.json, "Print every sample as JSON");
  verb->callback([quick, &common] {
    const auto samples = probes::measure_host_speed(*quick ? kQuick_s : kThorough_s);
    common.json ? print_json(samples) : print_table(samples);
  });
}

}  // namespace ds4::cli

#include "runners/cli/probe_text.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/base/units.h"
#include "probes/metric.h"
#include "reports/stats/order_statistics.h"
#include "runners/machine.h"

namespace ds4::cli {
namespace {

using probes::Series;

std::string_view unit_of(const Series& series) {
  const probes::Metric* metric = probes::find_metric(series.metric);
  return metric ? metric->unit : "";
}

// 4,586 GB/s, 1.53 us: decimal prefixes, as bandwidths and operation rates are quoted.
std::string value_text(double value, std::string_view unit) {
  if (unit == "s") {
    return value < 1e-3 ? format_number(value * 1e6) + " us" : format_number(value * 1e3) + " ms";
  }
  if (unit == "1") return format_number(value);
  return format_number(value / 1e9, 4) + " G" + std::string(unit);
}

std::string interval_text(const Series& series) {
  const auto interval = reports::median_order_interval(series.kept());
  if (!interval) return "";
  const std::string_view unit = unit_of(series);
  const std::string lo = value_text(interval->lo, unit), hi = value_text(interval->hi, unit);
  return lo.substr(0, lo.find(' ')) + " - " + hi.substr(0, hi.find(' '));
}

// "3 of 15 thrown out: power cap".
std::string discarded_text(const Series& series) {
  std::map<std::string, int> reasons;
  for (const probes::PassValue& pass : series.passes) {
    if (!pass.discarded.empty()) ++reasons[pass.discarded];
  }
  std::string text;
  for (const auto& [reason, n] : reasons) {
    text += (text.empty() ? "" : ", ") + std::to_string(n) + " thrown out: " + reason;
  }
  return text;
}

std::string remark_of(const Series& series) {
  std::string text = series.note;
  const std::string discarded = discarded_text(series);
  if (!text.empty() && !discarded.empty()) text += "; ";
  text += discarded;
  if (series.all_discarded()) text += "; none is left, so this is the median of those";
  return text;
}

// Whether a row is the one that published figures name, where `*` stands for anything.
bool named(const std::string& of, const std::string& pattern) {
  const size_t star = pattern.find('*');
  if (star == std::string::npos) return of == pattern;
  const std::string begin = pattern.substr(0, star), end = pattern.substr(star + 1);
  return of.size() >= begin.size() + end.size() && of.starts_with(begin) && of.ends_with(end);
}

}  // namespace

std::string against_text(const ProbeResult& result, const reports::Published& published) {
  std::string text = "\nBeside " + published.name + ": " + published.what + ", " +
                     published.hardware + " (" + published.source + ")\n";
  for (const reports::PublishedFigure& figure : published.figures) {
    const auto row =
        std::find_if(result.series.begin(), result.series.end(), [&](const Series& series) {
          return series.metric == figure.figure && named(series.of, figure.of) &&
                 !series.passes.empty();
        });
    char line[256];
    const std::string_view unit = probes::find_metric(figure.figure)->unit;
    const bool here = row != result.series.end();
    std::snprintf(line, sizeof line, "  %-52s %12s %14s %9s\n", figure.definition.c_str(),
                  value_text(figure.value, unit).c_str(),
                  here ? value_text(row->median(), unit).c_str() : "-",
                  here ? (format_number(row->median() / figure.value) + " x").c_str() : "");
    text += line;
  }
  for (const std::string& caveat : published.caveats) text += "  " + caveat + "\n";
  return text;
}

std::string probe_table(const ProbeResult& result) {
  size_t of_width = 4;
  for (const Series& series : result.series) of_width = std::max(of_width, series.of.size());
  std::string text, group;
  for (const Series& series : result.series) {
    if (series.group != group) {
      group = series.group;
      text += (text.empty() ? "" : "\n") + group + "\n";
    }
    char line[320];
    if (series.passes.empty()) {
      std::snprintf(line, sizeof line, "  %-16s %-*s  %s: ", series.metric.c_str(),
                    static_cast<int>(of_width), series.of.c_str(),
                    series.refused ? "refused" : "not measured");
      text += line + series.note + "\n";
      continue;
    }
    std::snprintf(line, sizeof line, "  %-16s %-*s %15s  %-17s n %-3zu %s", series.metric.c_str(),
                  static_cast<int>(of_width), series.of.c_str(),
                  value_text(series.median(), unit_of(series)).c_str(),
                  interval_text(series).c_str(), series.kept().size(), "");
    text += line + remark_of(series);
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  }
  text += "\nMedians and their 95 % intervals by order statistics, of single passes; " +
          format_seconds(result.seconds) + " in all.\n";
  if (result.device == "cuda" && !result.facts.watched) {
    text +=
        "NVML is not to be had: whether clocks were held down is not known, nothing was thrown "
        "out.\n";
  }
  if (result.device == "cpu") {
    text +=
        "Passes with less than 90 % of their cores are thrown out; where none is left the rate is "
        "a "
        "lower bound.\n";
  }
  return text;
}

std::string probe_json(const ProbeResult& result) {
  nlohmann::ordered_json object;
  object["format"] = "ds4-probe-2";
  object["machine"] = nlohmann::json::parse(runners::describe_machine());
  object["device"] = result.device;
  if (result.device == "cuda") {
    object["gpu"] = {{"name", result.facts.name},
                     {"processors", result.facts.processors},
                     {"l2_bytes", result.facts.l2_bytes},
                     {"free_bytes", result.facts.free_bytes},
                     {"throttling_watched", result.facts.watched}};
  }
  object["quick"] = result.quick;
  object["seconds"] = result.seconds;
  object["series"] = nlohmann::ordered_json::array();
  for (const Series& series : result.series) {
    nlohmann::ordered_json row = {{"group", series.group},
                                  {"metric", series.metric},
                                  {"unit", unit_of(series)},
                                  {"of", series.of},
                                  {"note", series.note}};
    if (series.refused) row["refused"] = true;
    if (!series.kept().empty()) row["median"] = series.median();
    if (const auto interval = reports::median_order_interval(series.kept())) {
      row["interval"] = {interval->lo, interval->hi};
    }
    row["samples"] = nlohmann::ordered_json::array();
    for (const probes::PassValue& pass : series.passes) {
      nlohmann::ordered_json sample = {{"value", pass.value}, {"time_s", pass.time_s}};
      if (!pass.discarded.empty()) sample["discarded"] = pass.discarded;
      row["samples"].push_back(std::move(sample));
    }
    object["series"].push_back(std::move(row));
  }
  return object.dump(2) + "\n";
}

}  // namespace ds4::cli

#include "runners/cli/probe_roofline.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/units.h"

namespace ds4::cli {
namespace {

using nlohmann::ordered_json;
using runners::Measured;
using runners::Roofline;
using runners::RooflineRow;

template <class... Values>
std::string line_of(const char* format, Values... values) {
  char line[256];
  std::snprintf(line, sizeof line, format, values...);
  return line;
}

std::string rate(const std::optional<double>& value) {
  return value ? format_number(*value, 4) : "-";
}

// "108 (45 %)".
std::string measured(const std::optional<Measured>& of, const std::optional<double>& most) {
  if (!of) return "-";
  std::string text = format_number(of->rate, 4);
  if (most) text += " (" + format_number(100 * of->rate / *most) + " %)";
  return text;
}

std::string table(const runners::RooflineQuestion& question, const Roofline& roofline) {
  const runners::MachineCeilings& c = roofline.ceilings;
  std::string text =
      c.machine + (c.projected ? ", a projection" : "") + ": " +
      format_number(c.read_rate / 1e9, 4) + " GB/s read" +
      (c.product_rate > 0 ? ", " + format_number(c.product_rate / 1e9, 4) + " GFLOP/s " + c.product
                          : ", product rate not known") +
      " (" + c.source + ")\n";
  const std::string drafted = std::to_string(question.drafts) + " drafts";
  text += line_of("  %9s %10s %10s %12s %16s", "context", "MB/token", "GFLOP", "most tok/s",
                  "measured");
  if (question.drafts > 0) text += line_of(" %12s", drafted.c_str());
  text += line_of(" %14s %16s\n", "most prefill", "measured");
  for (const RooflineRow& row : roofline.rows) {
    const PassDemand::Part all = row.token.total();
    text += line_of("  %9s %10s %10s %12s %16s", format_count(row.context).c_str(),
                    format_count(static_cast<int64_t>(all.bytes() / 1e6)).c_str(),
                    format_number(all.flops / 1e9, 4).c_str(), rate(row.decode).c_str(),
                    measured(row.decoded, row.decode).c_str());
    if (question.drafts > 0) text += line_of(" %12s", rate(row.drafted).c_str());
    text += line_of(" %14s %16s\n", rate(row.prefill).c_str(),
                    measured(row.prefilled, row.prefill).c_str());
  }
  return text;
}

// What the time of a token goes to at the first machine's ceilings, at one context.
std::string split(const Roofline& roofline, const RooflineRow& row) {
  double all_s = 0;
  for (const PassDemand::Part& part : row.token.parts) {
    all_s += runners::least_seconds(part, roofline.ceilings);
  }
  std::string text = "A token behind " + format_count(row.context) + " on " +
                     roofline.ceilings.machine + ", by component\n" +
                     line_of("  %-24s %10s %10s %10s %8s\n", "", "MB", "MFLOP", "us", "share");
  for (const PassDemand::Part& part : row.token.parts) {
    const double seconds = runners::least_seconds(part, roofline.ceilings);
    text += line_of("  %-24s %10s %10s %10s %7.1f%%\n", part.name.c_str(),
                    format_number(part.bytes() / 1e6, 4).c_str(),
                    format_number(part.flops / 1e6, 4).c_str(),
                    format_number(seconds * 1e6).c_str(), 100 * seconds / all_s);
  }
  return text;
}

ordered_json measured_json(const std::optional<Measured>& of, const std::optional<double>& most) {
  if (!of) return nullptr;
  ordered_json object = {{"rate", of->rate}, {"n", of->n}, {"run", of->run_id}};
  if (most) object["share"] = of->rate / *most;
  return object;
}

ordered_json optional_json(const std::optional<double>& value) {
  return value ? ordered_json(*value) : ordered_json(nullptr);
}

}  // namespace

std::string roofline_text(const runners::RooflineQuestion& question,
                          const std::vector<Roofline>& rooflines) {
  std::string text;
  for (const Roofline& roofline : rooflines) text += table(question, roofline) + "\n";
  text += split(rooflines.front(), rooflines.front().rows.front());
  text +=
      "\nEvery weight and cached row once per pass, activations left out; `ds4-sweep breakdown` "
      "holds the\nengine against the same ceilings, operation by operation. docs/probes.md\n";
  return text;
}

std::string roofline_json(const runners::RooflineQuestion& question,
                          const std::vector<Roofline>& rooflines) {
  ordered_json object = {{"format", "ds4-roofline-1"},
                         {"checkpoint", question.checkpoint.string()},
                         {"drafts", question.drafts},
                         {"chunk", question.chunk}};
  object["machines"] = ordered_json::array();
  for (const Roofline& roofline : rooflines) {
    const runners::MachineCeilings& c = roofline.ceilings;
    ordered_json machine = {{"machine", c.machine},           {"source", c.source},
                            {"projected", c.projected},       {"read_rate", c.read_rate},
                            {"product_rate", c.product_rate}, {"product", c.product}};
    for (const RooflineRow& row : roofline.rows) {
      ordered_json parts = ordered_json::array();
      for (const PassDemand::Part& part : row.token.parts) {
        parts.push_back({{"name", part.name},
                         {"weight_bytes", part.weight_bytes},
                         {"cache_bytes", part.cache_bytes},
                         {"flops", part.flops},
                         {"least_s", runners::least_seconds(part, c)}});
      }
      machine["rows"].push_back({{"context", row.context},
                                 {"decode_rate", row.decode},
                                 {"decode_measured", measured_json(row.decoded, row.decode)},
                                 {"drafted_rate", optional_json(row.drafted)},
                                 {"prefill_rate", optional_json(row.prefill)},
                                 {"prefill_measured", measured_json(row.prefilled, row.prefill)},
                                 {"token", parts}});
    }
    object["machines"].push_back(std::move(machine));
  }
  return object.dump(2) + "\n";
}

}  // namespace ds4::cli

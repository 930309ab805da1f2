#include "reports/figures/roofline.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "engine/base/check.h"
#include "probes/tagged.h"
#include "reports/published/published.h"

namespace ds4::reports {
namespace {

constexpr const char* kPhases[] = {"decode", "round", "prefill"};  // of the samples, by Pass

// What one attempt's samples say of a pass: bytes and operations by component, in their order.
struct Demand {
  std::vector<std::pair<std::string, std::pair<double, double>>> parts;

  std::pair<double, double>& part(const std::string& name) {
    for (auto& [known, values] : parts) {
      if (known == name) return values;
    }
    return parts.emplace_back(name, std::pair{0.0, 0.0}).second;
  }
};

Demand demand_of(const AttemptRow& attempt, const char* phase) {
  Demand demand;
  for (const probes::Sample& sample : attempt.samples) {
    if (sample.phase != phase) continue;
    const probes::Tagged name = probes::read_tagged(sample.metric);
    if (name.metric == "demand_bytes") demand.part(name.of).first += sample.value;
    if (name.metric == "demand_flops") demand.part(name.of).second += sample.value;
  }
  return demand;
}

// The answers that an attempt stands for: of its suite and length.
Selection like(const StoredAttempt& attempt) {
  Selection selection{attempt.cell_key, attempt.suite, {}};
  const auto length = attempt.tags.find("length");
  if (length != attempt.tags.end()) selection.tags.insert(*length);
  return selection;
}

void add_pass(const RunData& run, const StoredAttempt& attempt, Pass pass, bool drafted,
              const Roof& roof, std::vector<RooflineRow>& rows) {
  const Demand demand = demand_of(attempt, kPhases[static_cast<int>(pass)]);
  if (demand.parts.empty()) return;
  const Selection selection = like(attempt);
  RooflineRow all{attempt.cell_key, attempt.suite, attempt.prompt_tokens, pass};
  for (const auto& [name, values] : demand.parts) {
    all.bytes += values.first;
    all.flops += values.second;
  }
  if (pass == Pass::kPrefill) {
    all.tokens = static_cast<double>(attempt.prompt_tokens - attempt.cached_tokens);
  } else if (pass == Pass::kRound) {
    const auto length = make_figure(run, selection, "acceptance_length");
    if (!length || !(*length)->value) return;  // nobody knows what a round gave
    all.tokens = *(*length)->value;
  }
  all.least_s = least_seconds(all.bytes, all.flops, roof);
  all.most = all.tokens / all.least_s;
  if (pass == Pass::kPrefill) {
    all.measured = make_figure(run, selection, "prefill_rate");
  } else if ((pass == Pass::kRound) == drafted) {
    all.measured = make_figure(run, selection, "decode_rate");
  }
  rows.push_back(all);
  for (const auto& [name, values] : demand.parts) {
    RooflineRow part = all;
    part.component = name;
    part.measured.reset();
    std::tie(part.bytes, part.flops) = values;
    part.least_s = least_seconds(part.bytes, part.flops, roof);
    part.most = part.least_s > 0 ? part.tokens / part.least_s : 0;
    rows.push_back(std::move(part));
  }
}

}  // namespace

const char* name_of(Pass pass) {
  switch (pass) {
    case Pass::kToken:
      return "decode";
    case Pass::kRound:
      return "decode, drafting";
    case Pass::kPrefill:
      break;
  }
  return "prefill";
}

std::optional<Roof> measured_roof(const RunData& run, const std::string& cell_key) {
  const std::vector<ProbeSeries> all = probe_series(run, cell_key);
  const ProbeSeries* read = best_series(all, "read_rate");
  if (!read) return std::nullopt;
  Roof roof{"this machine", "measured in this run", read->value};
  const ProbeSeries* product = best_series(all, "tensor_rate", "BF16");
  if (!product) product = best_series(all, "sgemm_rate");
  roof.disturbed = read->n == 0 || (product && product->n == 0);
  if (product) {
    roof.product_rate = product->value;
    roof.product = (product->metric == "sgemm_rate" ? "f32, " : "") + product->of;
  }
  if (const ProbeSeries* peak = best_series(all, "memory_peak")) roof.memory_peak = peak->value;
  if (const ProbeSeries* peak = best_series(all, "tensor_peak", "BF16")) {
    roof.product_peak = peak->value;
  }
  return roof;
}

Roof published_spark() {
  const Published& base = find_published("spark-bandwidth");
  const auto read = std::find_if(base.figures.begin(), base.figures.end(),
                                 [](const auto& figure) { return figure.figure == "read_rate"; });
  DS4_CHECK(read != base.figures.end());
  Roof roof{base.hardware, base.source, read->value};
  roof.projected = true;
  return roof;
}

double least_seconds(double bytes, double flops, const Roof& roof) {
  const double by_bytes = bytes / roof.read_rate;
  return roof.product_rate > 0 ? std::max(by_bytes, flops / roof.product_rate) : by_bytes;
}

const char* bound_by(double bytes, double flops, const Roof& roof) {
  return least_seconds(bytes, flops, roof) > bytes / roof.read_rate ? "arithmetic" : "memory";
}

std::vector<RooflineRow> roofline_rows(const RunData& run, const std::string& cell_key,
                                       const Roof& roof) {
  std::map<std::tuple<std::string, int64_t, int64_t>, const StoredAttempt*> first;
  std::set<std::pair<std::string, std::map<std::string, std::string>>> seen;
  for (const StoredAttempt* attempt : timed_attempts(run, cell_key)) {
    const bool told =
        std::any_of(attempt->samples.begin(), attempt->samples.end(),
                    [](const auto& s) { return s.metric.text().starts_with("demand_bytes{"); });
    if (told && seen.emplace(attempt->suite, like(*attempt).tags).second) {
      first[{attempt->suite, attempt->prompt_tokens, attempt->id}] = attempt;
    }
  }
  std::vector<RooflineRow> rows;
  for (const auto& [key, attempt] : first) {
    const bool drafted = !demand_of(*attempt, "round").parts.empty();
    for (const Pass pass : {Pass::kToken, Pass::kRound, Pass::kPrefill}) {
      add_pass(run, *attempt, pass, drafted, roof, rows);
    }
  }
  return rows;
}

double Step::watched_s() const {
  double sum = 0;
  for (const OperationRow& row : operations) sum += row.seconds;
  return sum;
}

double Step::least_s() const {
  double sum = 0;
  for (const OperationRow& row : operations) sum += row.least_s;
  return sum;
}

std::vector<Step> broken_down_steps(const RunData& run, const std::string& cell_key,
                                    const Roof& roof) {
  std::map<std::pair<int64_t, bool>, Step> newest;  // by context; decode last
  for (const StoredAttempt* attempt : timed_attempts(run, cell_key)) {
    if (attempt->suite != kProbeSuite) continue;
    std::map<bool, Step> steps;
    for (const probes::Sample& sample : attempt->samples) {
      if (sample.phase.empty()) continue;
      const bool decode = sample.phase == "decode";
      Step& step = steps[decode];
      step.context = attempt->prompt_tokens;
      step.decode = decode;
      const probes::Tagged name = probes::read_tagged(sample.metric);
      if (name.metric == "step_time") {
        step.seconds = sample.value;
        step.rows = name.of;
        continue;
      }
      auto row = std::find_if(step.operations.begin(), step.operations.end(),
                              [&](const OperationRow& r) { return r.name == name.of; });
      if (row == step.operations.end()) {
        step.operations.push_back({name.of, decode});
        row = step.operations.end() - 1;
      }
      if (name.metric == "operation_time") row->seconds = sample.value;
      if (name.metric == "operation_bytes") row->bytes = sample.value;
      if (name.metric == "operation_flops") row->flops = sample.value;
    }
    for (auto& [decode, step] : steps) {
      for (OperationRow& row : step.operations) {
        row.least_s = least_seconds(row.bytes, row.flops, roof);
      }
      std::stable_sort(step.operations.begin(), step.operations.end(),
                       [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
      newest[{step.context, decode}] = std::move(step);
    }
  }
  std::vector<Step> all;
  for (auto& [key, step] : newest) all.push_back(std::move(step));
  return all;
}

std::vector<CellRoofline> rooflines(const RunData& run) {
  const Roof spark = published_spark();
  std::vector<CellRoofline> all;
  for (const CellRow& cell : run.cells) {
    const std::optional<Roof> roof = measured_roof(run, cell.key);
    if (!roof) continue;
    all.push_back({cell.key, *roof, probe_series(run, cell.key),
                   roofline_rows(run, cell.key, *roof), broken_down_steps(run, cell.key, *roof)});
    // Its product rate was not published, and products are what binds prefill.
    all.push_back({cell.key, spark, {}, roofline_rows(run, cell.key, spark)});
    std::erase_if(all.back().passes,
                  [](const RooflineRow& row) { return row.pass == Pass::kPrefill; });
  }
  return all;
}

}  // namespace ds4::reports

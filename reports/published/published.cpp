// The published runs, read from their embedded files, and a run held against one.
#include "reports/published/published.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/checkpoint_name.h"
#include "engine/base/error.h"
#include "probes/metric.h"
#include "reports/figures/machine.h"

namespace ds4::reports {

// The files, embedded at build time.
extern const std::string_view published_iq2xxs_256;
extern const std::string_view published_k144_nospec_200k;
extern const std::string_view published_k160_mtp2_200k;
extern const std::string_view published_k160_nospec_200k;
extern const std::string_view published_k180_hybrid_1m;
extern const std::string_view published_spark_bandwidth;
extern const std::string_view published_w4a16_fp8_h200;
extern const std::string_view published_w4a16_fp8_rtx6000_x2;
extern const std::string_view published_w4a16_fp8_tp2;

namespace {

using nlohmann::json;

constexpr double kSameLength = 0.1;  // prompts differ by no more than this share

Published parse(std::string_view text) {
  const json j = json::parse(text);
  Published run;
  for (const auto& [key, field] :
       {std::pair{"name", &run.name}, std::pair{"what", &run.what},
        std::pair{"source", &run.source}, std::pair{"hardware", &run.hardware},
        std::pair{"machine", &run.machine}, std::pair{"engine", &run.engine},
        std::pair{"checkpoint", &run.checkpoint}}) {
    j.at(key).get_to(*field);
  }
  j.at("profiles").get_to(run.profiles);
  j.at("caveats").get_to(run.caveats);
  for (const json& f : j.at("figures")) {
    PublishedFigure figure;
    f.at("suite").get_to(figure.suite);
    f.at("figure").get_to(figure.figure);
    figure.prompt_tokens = f.value("prompt_tokens", int64_t{0});
    f.at("value").get_to(figure.value);
    if (f.contains("n")) figure.n = f.at("n").get<int64_t>();
    f.at("definition").get_to(figure.definition);
    figure.of = f.value("of", "");
    run.figures.push_back(std::move(figure));
  }
  return run;
}

bool same_length(int64_t tokens, const PublishedFigure& published) {
  const double wanted = static_cast<double>(published.prompt_tokens);
  return published.prompt_tokens == 0 ||
         std::abs(static_cast<double>(tokens) - wanted) <= kSameLength * wanted;
}

std::optional<Figure> figure_of(const RunData& run, const CellRow& cell,
                                const PublishedFigure& published) {
  const bool is_score = probes::find_metric(published.figure) == nullptr;
  if (is_score && is_synthetic_identity(run.run.checkpoint_identity)) return std::nullopt;
  RunData selected{run.run, run.cells, run.launches, run.launch_samples, {}};
  for (const StoredAttempt& attempt : run.attempts.of(cell.key)) {
    if (same_length(attempt.prompt_tokens, published)) selected.attempts.push_back(attempt);
  }
  return make_figure(selected, {cell.key, published.suite, {}}, published.figure);
}

std::string machine_text(const RunRow& run) {
  const Machine machine = read_machine(run.machine);
  std::string text;
  for (const auto* models : {&machine.cpus, &machine.gpus}) {
    for (const std::string& model : *models) text += (text.empty() ? "" : ", ") + model;
  }
  return text;
}

}  // namespace

std::span<const Published> published_runs() {
  static const std::vector<Published> runs = [] {
    std::vector<Published> all;
    for (const std::string_view text :
         {published_iq2xxs_256, published_k144_nospec_200k, published_k160_mtp2_200k,
          published_k160_nospec_200k, published_k180_hybrid_1m, published_spark_bandwidth,
          published_w4a16_fp8_h200, published_w4a16_fp8_rtx6000_x2, published_w4a16_fp8_tp2}) {
      all.push_back(parse(text));
    }
    return all;
  }();
  return runs;
}

const Published& find_published(const std::string& name) {
  std::string known;
  for (const Published& run : published_runs()) {
    if (run.name == name) return run;
    known += (known.empty() ? "" : ", ") + run.name;
  }
  throw Error(ErrorCode::kUsage, "no published run `" + name + "`", "There are: " + known + ".");
}

std::string hardware_class(const std::string& machine) {
  const std::vector<std::string> gpus = read_machine(machine).gpus;
  if (gpus.empty()) return "";
  for (const auto& [part, name] : {std::pair{"GB10", "spark"}, std::pair{"RTX PRO 6000", "rtx6000"},
                                   std::pair{"H100", "h100"}, std::pair{"H200", "h200"}}) {
    if (gpus[0].find(part) == std::string::npos) continue;
    return name + (gpus.size() > 1 ? "-x" + std::to_string(gpus.size()) : "");
  }
  return "";
}

PublishedComparison compare_with_published(const Published& base, const RunData& run) {
  PublishedComparison result;
  result.base = base;
  result.now = run.run;
  result.environment = {{"hardware", base.hardware, machine_text(run.run)},
                        {"engine", base.engine, "ds4-sweep " + run.run.version},
                        {"checkpoint", base.checkpoint, run.run.checkpoint_path}};
  for (const PublishedFigure& published : base.figures) {
    const probes::Metric* metric = probes::find_metric(published.figure);
    bool found = false;
    for (const CellRow& cell : run.cells) {
      std::optional<Figure> now = figure_of(run, cell, published);
      if (!now || !(*now)->value) continue;
      found = true;
      result.lines.push_back(
          {cell.label, published, metric ? std::string(metric->unit) : "", std::move(now)});
    }
    result.n_without += found ? 0 : 1;
  }
  return result;
}

std::vector<const Published*> corresponding(const RunRow& run) {
  std::vector<const Published*> found;
  for (const Published& published : published_runs()) {
    const auto& names = published.profiles;
    if (std::find(names.begin(), names.end(), run.profile_name) == names.end()) continue;
    if (hardware_class(run.machine) == published.machine) found.push_back(&published);
  }
  return found;
}

}  // namespace ds4::reports

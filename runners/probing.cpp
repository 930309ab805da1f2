#include "runners/probing.h"

#include <nlohmann/json.hpp>

#include "engine/api/breakdown.h"
#include "engine/api/checkpoints.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "probes/metric.h"
#include "probes/tagged.h"
#include "runners/engine_settings.h"
#include "runners/machine_probes.h"

namespace ds4::runners {
namespace {

using nlohmann::json;

MachineProbes probes_of(const suites::Probing& probing, const profiles::Profile& profile) {
  // A server of somebody else answers elsewhere: what is here says nothing of it.
  if (probing.device == "cell" && profile.target == "http") {
    throw Error(ErrorCode::kMachine, "the machine that the server computes on cannot be measured",
                "Set `device` of the suite to \"cpu\" or \"cuda\" where it is this machine.");
  }
  const std::string device = probing.device == "cell" ? profile.engine.device : probing.device;
  return choose_probes({device, probing.quick, {probing.group}});
}

std::string said(const Error& e) {
  return e.what() + (e.hint().empty() ? "" : ". " + e.hint());
}

// The attempt's samples of a step: its phase is "decode" or "prefill".
void add_step(const StepBreakdown& step, const std::string& phase, reports::AttemptRow& attempt) {
  const auto add = [&](const char* metric, double value, const std::string& of) {
    attempt.samples.push_back({probes::tagged_name({metric, of, ""}), value, 0, phase});
  };
  add("step_time", step.seconds, std::to_string(step.rows) + " rows");
  for (const OperationCost& cost : step.operations) {
    add("operation_time", cost.seconds, cost.name);
    add("operation_bytes", cost.bytes, cost.name);
    add("operation_flops", cost.flops, cost.name);
  }
}

json series_json(const probes::Series& series) {
  const probes::Metric* metric = probes::find_metric(series.metric);
  json passes = json::array();
  for (const probes::PassValue& pass : series.passes) {
    passes.push_back({pass.value, pass.time_s, pass.discarded});
  }
  return {
      {"metric", series.metric}, {"of", series.of},           {"unit", metric ? metric->unit : ""},
      {"note", series.note},     {"refused", series.refused}, {"passes", passes}};
}

json sample_json(const probes::Sample& sample) {
  const probes::Tagged name = probes::read_tagged(sample.metric);
  return {{"metric", name.metric},
          {"of", sample.phase + ", " + name.of},
          {"unit", probes::find_metric(name.metric)->unit},
          {"note", ""},
          {"refused", false},
          {"passes", json::array({json::array({sample.value, sample.time_s, ""})})}};
}

json measure_case(const suites::Probing& probing, const profiles::Profile& profile,
                  reports::AttemptRow& attempt,
                  const std::function<void(const std::string&)>& progress) {
  json list = json::array();
  if (probing.group == suites::kBreakdown) {
    BreakdownOptions options;
    options.checkpoint = resolve_checkpoint(profile.checkpoint);
    options.settings = engine_settings(profile.engine);
    options.context = probing.context;
    const Breakdown found = break_down(options, [&](int64_t done) {
      progress(std::to_string(done) + " of " + std::to_string(probing.context) + " tokens read");
    });
    attempt.prompt_tokens = probing.context;
    add_step(found.decode, "decode", attempt);
    add_step(found.prefill, "prefill", attempt);
    for (const probes::Sample& sample : attempt.samples) list.push_back(sample_json(sample));
    return list;
  }
  const auto tell = [&](const probes::ProbeProgress& at) { progress(at.name); };
  for (const probes::Series& series : measure(probes_of(probing, profile), tell)) {
    for (const probes::PassValue& pass : series.passes) {
      attempt.samples.push_back({probes::tagged_name({series.metric, series.of, pass.discarded}),
                                 pass.value, pass.time_s, ""});
    }
    list.push_back(series_json(series));
  }
  return list;
}

}  // namespace

std::string probing_lack(const suites::Probing& probing, const profiles::Profile& profile) {
  if (probing.group == suites::kBreakdown) {
    return profile.target == "engine" ? "" : "only the embedded engine's steps can be taken apart";
  }
  try {
    probes_of(probing, profile);
    return "";
  } catch (const Error& e) {
    return said(e);
  }
}

void probe_for(const suites::Probing& probing, const profiles::Profile& profile,
               reports::AttemptRow& attempt,
               const std::function<void(const std::string&)>& progress) {
  const double begin = monotonic_seconds();
  try {
    const json list = measure_case(probing, profile, attempt, progress);
    attempt.text = attempt.content = json{{"format", "ds4-probing-1"}, {"series", list}}.dump();
    attempt.finish_reason = "stop";
    attempt.status = "ok";
  } catch (const Error& e) {
    attempt.status = "error";
    attempt.error = said(e);
  }
  attempt.end_s = monotonic_seconds() - begin;
}

}  // namespace ds4::runners

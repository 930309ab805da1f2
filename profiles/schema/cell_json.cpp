// A cell as JSON and back without loss: what a worker is given, and what the store keeps for
// resume.
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "profiles/schema/guard_section.h"
#include "profiles/schema/json_values.h"
#include "profiles/schema/launch_json.h"
#include "profiles/schema/plan.h"
#include "profiles/schema/server_section.h"

namespace ds4::profiles {
namespace {

using nlohmann::json;

constexpr int kFormat = 1;  // raised when a reader of the older form would misread the newer

json engine_json(const EngineSection& engine) {
  return {{"device", engine.device},
          {"kv_dtype", engine.kv_dtype},
          {"index_dtype", engine.index_dtype},
          {"residency", engine.residency},
          {"context_length", engine.context_length},
          {"prefill_chunk", engine.prefill_chunk},
          {"draft_tokens", engine.draft_tokens},
          {"sequences", engine.sequences},
          {"threads", engine.threads},
          {"seed", engine.seed}};
}

EngineSection engine_from(const json& j) {
  EngineSection engine;
  j.at("device").get_to(engine.device);
  j.at("kv_dtype").get_to(engine.kv_dtype);
  j.at("index_dtype").get_to(engine.index_dtype);
  j.at("context_length").get_to(engine.context_length);
  j.at("prefill_chunk").get_to(engine.prefill_chunk);
  engine.draft_tokens = j.value("draft_tokens", engine.draft_tokens);  // absent before it existed
  engine.sequences = j.value("sequences", engine.sequences);           // like this one
  engine.residency = j.value("residency", engine.residency);           // and this
  j.at("threads").get_to(engine.threads);
  j.at("seed").get_to(engine.seed);
  return engine;
}

json suite_json(const SuiteSection& suite) {
  json parameters = json::object();
  for (const auto& [name, value] : suite.parameters) parameters[name] = typed_json(value);
  return {{"name", suite.name},
          {"version", suite.version},
          {"parameters", parameters},
          {"scores", suite.scores}};
}

SuiteSection suite_from(const json& j) {
  SuiteSection suite;
  j.at("name").get_to(suite.name);
  j.at("version").get_to(suite.version);
  j.at("scores").get_to(suite.scores);
  for (const auto& [name, value] : j.at("parameters").items()) {
    suite.parameters[name] = value_from_typed_json(value);
  }
  return suite;
}

json gate_json(const Gate& gate) {
  json j = {{"suite", gate.suite},
            {"figure", gate.figure},
            {"tags", gate.tags},
            {"min_n", gate.min_n},
            {"source", gate.source}};
  if (gate.has_min) j["min"] = gate.min;
  if (gate.has_max) j["max"] = gate.max;
  if (gate.floor > 0) j["floor"] = gate.floor;
  if (!gate.outcome.empty()) j["outcome"] = gate.outcome;
  if (!gate.baseline.empty()) {
    j["baseline"] = gate.baseline;
    j["not_worse_by"] = gate.not_worse_by;
  }
  return j;
}

Gate gate_from(const json& j) {
  Gate gate;
  j.at("suite").get_to(gate.suite);
  j.at("figure").get_to(gate.figure);
  j.at("tags").get_to(gate.tags);
  j.at("min_n").get_to(gate.min_n);
  j.at("source").get_to(gate.source);
  gate.has_min = j.contains("min");
  gate.has_max = j.contains("max");
  if (gate.has_min) j.at("min").get_to(gate.min);
  if (gate.has_max) j.at("max").get_to(gate.max);
  // Absent where the gate is of another kind, and before these kinds existed.
  gate.floor = j.value("floor", gate.floor);
  gate.outcome = j.value("outcome", gate.outcome);
  gate.baseline = j.value("baseline", gate.baseline);
  gate.not_worse_by = j.value("not_worse_by", gate.not_worse_by);
  return gate;
}

// One key has a list of values; several have a list of lists, and `key` names them for people.
json axis_json(const Axis& axis) {
  json values = json::array();
  for (const auto& row : axis.values) {
    values.push_back(axis.keys.size() == 1 ? json(row.front()) : json(row));
  }
  json j = {{"key", axis.name()}, {"values", values}};
  if (axis.keys.size() > 1) j["keys"] = axis.keys;
  return j;
}

Axis axis_from(const json& j) {
  Axis axis;
  if (j.contains("keys")) {
    j.at("keys").get_to(axis.keys);
    j.at("values").get_to(axis.values);
  } else {
    axis.keys = {j.at("key").get<std::string>()};
    for (const json& value : j.at("values")) axis.values.push_back({value.get<std::string>()});
  }
  return axis;
}

json sweep_json(const SweepSection& sweep) {
  json exclude = json::array();
  for (const Condition& condition : sweep.exclude) exclude.push_back(condition.text);
  return {{"mode", sweep.mode},
          {"exclude", exclude},
          {"order", sweep.order},
          {"seed", sweep.seed},
          {"repeats", sweep.repeats},
          {"skip_dominated", sweep.skip_dominated},
          {"refuse_unfit", sweep.refuse_unfit},
          {"settle_tolerance", sweep.settle_tolerance},
          {"settle_timeout_s", sweep.settle_timeout_s},
          {"sentinel", sweep.sentinel},
          {"sentinel_bound", sweep.sentinel_bound}};
}

// The conditions come back as text alone: the cells they left out are not in the store.
SweepSection sweep_from(const json& j) {
  SweepSection sweep;
  j.at("mode").get_to(sweep.mode);
  for (const json& text : j.at("exclude")) {
    sweep.exclude.push_back({text.get<std::string>(), {}});
  }
  j.at("order").get_to(sweep.order);
  j.at("seed").get_to(sweep.seed);
  j.at("repeats").get_to(sweep.repeats);
  j.at("skip_dominated").get_to(sweep.skip_dominated);
  j.at("refuse_unfit").get_to(sweep.refuse_unfit);
  j.at("settle_tolerance").get_to(sweep.settle_tolerance);
  j.at("settle_timeout_s").get_to(sweep.settle_timeout_s);
  j.at("sentinel").get_to(sweep.sentinel);
  j.at("sentinel_bound").get_to(sweep.sentinel_bound);
  return sweep;
}

json profile_json(const Profile& profile) {
  json suites = json::array(), gates = json::array(), axes = json::array();
  for (const SuiteSection& suite : profile.suites) suites.push_back(suite_json(suite));
  for (const Gate& gate : profile.gates) gates.push_back(gate_json(gate));
  for (const Axis& axis : profile.axes) axes.push_back(axis_json(axis));
  json j = {{"name", profile.name},
            {"description", profile.description},
            {"path", profile.path.string()},
            {"text", profile.text},
            {"checkpoint", profile.checkpoint.string()},
            {"target", profile.target},
            {"script", profile.script},
            {"engine", engine_json(profile.engine)},
            {"server", server_to_json(profile.server)},
            {"sampling", sampling_json(profile.sampling)},
            {"suites", suites},
            {"axes", axes},
            {"gates", gates},
            {"cell_timeout_s", profile.cell_timeout_s},
            {"case_timeout_s", profile.case_timeout_s},
            {"guard", json::parse(guard_to_json(profile.guard))},
            {"overrides", profile.overrides},
            {"sweep", sweep_json(profile.sweep)}};
  if (!profile.recording.empty()) j["recording"] = profile.recording;
  // Only the target that starts it reads it.
  if (profile.target == "managed") j["launch"] = launch_to_json(profile.launch);
  if (profile.memory_floor) j["memory_floor"] = *profile.memory_floor;
  return j;
}

Profile profile_from(const json& j) {
  Profile profile;
  j.at("name").get_to(profile.name);
  j.at("description").get_to(profile.description);
  profile.path = j.at("path").get<std::string>();
  j.at("text").get_to(profile.text);
  profile.checkpoint = j.at("checkpoint").get<std::string>();
  j.at("target").get_to(profile.target);
  j.at("script").get_to(profile.script);
  profile.engine = engine_from(j.at("engine"));
  // Cells of older versions know no servers.
  if (j.contains("server")) profile.server = server_from_json(j.at("server"));
  // Cells stored before the section existed have none: greedy.
  if (j.contains("sampling")) profile.sampling = sampling_from_json(j.at("sampling"));
  for (const json& suite : j.at("suites")) profile.suites.push_back(suite_from(suite));
  for (const json& axis : j.at("axes")) profile.axes.push_back(axis_from(axis));
  if (j.contains("sweep")) profile.sweep = sweep_from(j.at("sweep"));
  profile.recording = j.value("recording", profile.recording);
  if (j.contains("launch")) profile.launch = launch_from_json(j.at("launch"));
  if (j.contains("memory_floor")) profile.memory_floor = j.at("memory_floor").get<int64_t>();
  for (const json& gate : j.at("gates")) profile.gates.push_back(gate_from(gate));
  j.at("cell_timeout_s").get_to(profile.cell_timeout_s);
  j.at("case_timeout_s").get_to(profile.case_timeout_s);
  // Cells stored before there was a guard have none.
  if (j.contains("guard")) profile.guard = guard_from_json(j.at("guard").dump());
  j.at("overrides").get_to(profile.overrides);
  return profile;
}

}  // namespace

std::string cell_to_json(const Cell& cell) {
  const json j = {{"format", kFormat},     {"key", cell.key},
                  {"label", cell.label},   {"semantics", cell.semantics},
                  {"choice", cell.choice}, {"profile", profile_json(cell.profile)}};
  try {
    return j.dump();
  } catch (const json::type_error&) {
    // TOML is UTF-8 by definition, so only a path of the file system can be at fault.
    throw Error(ErrorCode::kProfile, cell.profile.path.string() + ": a path is not valid UTF-8",
                "Rename the folder, or reach it through a link with a plain name.");
  }
}

Cell cell_from_json(std::string_view text) {
  try {
    const json j = json::parse(text);
    if (j.at("format").get<int>() != kFormat) {
      throw Error(ErrorCode::kIo,
                  "a stored cell has the format " + j.at("format").dump() + "; this build reads " +
                      std::to_string(kFormat),
                  "Use the ds4-sweep that wrote it.");
    }
    Cell cell;
    j.at("key").get_to(cell.key);
    j.at("label").get_to(cell.label);
    j.at("semantics").get_to(cell.semantics);
    cell.profile = profile_from(j.at("profile"));
    if (j.contains("choice")) j.at("choice").get_to(cell.choice);
    return cell;
  } catch (const json::exception& e) {
    throw Error(ErrorCode::kIo, std::string("a stored cell cannot be read: ") + e.what(),
                "The database or the pipe to the worker is damaged; run the profile again.");
  }
}

}  // namespace ds4::profiles

// All that a cell says, to compare cells that came from different texts.
#pragma once

#include <nlohmann/json.hpp>

#include "profiles/schema/plan.h"

namespace ds4::profiles {

/// Without what names places of the text, what chose this cell among others, and the order of
/// [launch], which TOML tables do not keep when they are written.
inline nlohmann::json meaning(const Cell& cell) {
  auto json = nlohmann::json::parse(cell_to_json(cell));
  json.erase("choice");
  json.erase("label");
  auto& profile = json.at("profile");
  for (const char* place : {"path", "text", "overrides", "launch"}) profile.erase(place);
  for (const char* of_many : {"mode", "exclude", "order", "seed"}) {
    profile.at("sweep").erase(of_many);
  }
  for (auto& gate : profile.at("gates")) gate.erase("source");
  const LaunchSection& launch = cell.profile.launch;
  auto& shown = json["launch"];
  shown = {
      launch.server,          launch.model,           launch.revision, launch.image,
      launch.container,       launch.folder,          launch.log,      launch.metrics_interval_s,
      launch.limits.port_s,   launch.limits.health_s, launch.command,  launch.limits.model_s,
      launch.limits.answer_s, launch.limits.stop_s};
  nlohmann::json flags, env, launcher;
  for (const LaunchFlag& flag : launch.flags) flags[flag.name] = {flag.value, flag.bare};
  for (const auto& [name, value] : launch.env) env[name] = value;
  for (const auto& [name, value] : launch.launcher) launcher[name] = value;
  shown.insert(shown.end(), {flags, env, launcher});
  return json;
}

}  // namespace ds4::profiles

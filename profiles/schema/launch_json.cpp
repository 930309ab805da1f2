#include "profiles/schema/launch_json.h"

#include <nlohmann/json.hpp>

namespace ds4::profiles {
namespace {

using nlohmann::json;

json flags_json(const std::vector<LaunchFlag>& flags) {
  json list = json::array();
  for (const LaunchFlag& flag : flags) {
    list.push_back(flag.bare ? json::array({flag.name}) : json::array({flag.name, flag.value}));
  }
  return list;
}

std::vector<LaunchFlag> flags_from(const json& list) {
  std::vector<LaunchFlag> flags;
  for (const json& flag : list) {
    const bool bare = flag.size() == 1;
    flags.push_back({flag.at(0), bare ? "" : flag.at(1).get<std::string>(), bare});
  }
  return flags;
}

}  // namespace

json launch_to_json(const LaunchSection& launch) {
  return {{"server", launch.server},
          {"model", launch.model},
          {"revision", launch.revision},
          {"image", launch.image},
          {"container", launch.container},
          {"flags", flags_json(launch.flags)},
          {"env", launch.env},
          {"launcher", launch.launcher},
          {"command", launch.command},
          {"folder", launch.folder},
          {"log", launch.log},
          {"port_s", launch.limits.port_s},
          {"health_s", launch.limits.health_s},
          {"model_s", launch.limits.model_s},
          {"answer_s", launch.limits.answer_s},
          {"stop_s", launch.limits.stop_s},
          {"metrics_interval_s", launch.metrics_interval_s}};
}

LaunchSection launch_from_json(const json& j) {
  LaunchSection launch;
  j.at("server").get_to(launch.server);
  j.at("model").get_to(launch.model);
  j.at("revision").get_to(launch.revision);
  j.at("image").get_to(launch.image);
  j.at("container").get_to(launch.container);
  launch.flags = flags_from(j.at("flags"));
  j.at("env").get_to(launch.env);
  j.at("launcher").get_to(launch.launcher);
  j.at("command").get_to(launch.command);
  j.at("folder").get_to(launch.folder);
  j.at("log").get_to(launch.log);
  j.at("port_s").get_to(launch.limits.port_s);
  j.at("health_s").get_to(launch.limits.health_s);
  j.at("model_s").get_to(launch.limits.model_s);
  j.at("answer_s").get_to(launch.limits.answer_s);
  j.at("stop_s").get_to(launch.limits.stop_s);
  j.at("metrics_interval_s").get_to(launch.metrics_interval_s);
  return launch;
}

json launch_semantics(const LaunchSection& launch) {
  // Objects: the order of flags and variables decides nothing, and TOML does not keep it.
  json flags = json::object(), env = json::object();
  for (const LaunchFlag& flag : launch.flags) {
    flags[flag.name] = flag.bare ? json(true) : json(flag.value);
  }
  for (const auto& [name, value] : launch.env) env[name] = value;
  return {{"server", launch.server},
          {"model", launch.model},
          {"revision", launch.revision},
          {"image", launch.image},
          {"command", launch.command},
          {"flags", flags},
          {"env", env}};
}

}  // namespace ds4::profiles

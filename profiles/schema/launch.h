// `[launch]`: how another server is started with a profile's settings. What [engine] says already
// (context, chunk, sequences, KV format, drafts) is not repeated here.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ds4::profiles {

/// An option of a server's command line: "max-model-len" "200000", or bare: "enforce-eager".
struct LaunchFlag {
  std::string name;  // without dashes
  std::string value;
  bool bare = false;
  bool operator==(const LaunchFlag&) const = default;
};

using LaunchPairs = std::vector<std::pair<std::string, std::string>>;

/// `[launch.limits]`: seconds that each rung of the ladder to readiness may take, counted from the
/// one before it, and the end.
struct LaunchLimits {
  double port_s = 1800;    // from the start until somebody listens
  double health_s = 1800;  // until /health is 200: some listen before they have loaded
  double model_s = 60;     // until the model is listed
  double answer_s = 600;   // until the first answer: some compile at the first request
  double stop_s = 60;      // from TERM to KILL, and again until memory is back
};

/// Everything in the order of the file.
struct LaunchSection {
  std::string server;            // one of launch_servers(); "" = the profile has no [launch]
  std::string model, revision;   // on the hub
  std::string image, container;  // for a container: image and name
  std::vector<LaunchFlag> flags;
  LaunchPairs env;       // environment of the server
  LaunchPairs launcher;  // keys of a start script that are neither

  // For the target `managed`, which starts it (docs/servers.md).
  std::vector<std::string> command;  // words, placeholders among them; empty = the server's usual
  std::string folder;                // it works in, absolute; "" = where the run was started
  std::string log;                   // file of what it prints; "" = beside the telemetry
  LaunchLimits limits;
  double metrics_interval_s = 5;  // between readings of /metrics

  const LaunchFlag* flag(const std::string& name) const;       // null when absent
  const std::string* variable(const std::string& name) const;  // of `env`; null when absent
};

/// Servers whose flags or logs are known; "other" is any.
std::span<const std::string_view> launch_servers();

/// Names that may stand in braces in launch.command, such as "port".
std::span<const std::string_view> launch_placeholders();

/// The placeholders of a word, in order: those of `{name}` with a name of small letters, digits,
/// underscores and hyphens. Other braces are text, as in JSON.
std::vector<std::string> placeholders_of(std::string_view word);

}  // namespace ds4::profiles

// `[launch]`: how another server is started with a profile's settings. What [engine] says already
// (context, chunk, sequences, KV format, drafts) is not repeated here.
#pragma once

#include <string>
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

/// Everything in the order of the file.
struct LaunchSection {
  std::string server;            // vllm | sglang; "" = the profile has no [launch]
  std::string model, revision;   // on the hub
  std::string image, container;  // for a container: image and name
  std::vector<LaunchFlag> flags;
  LaunchPairs env;       // environment of the server
  LaunchPairs launcher;  // keys of a start script that are neither

  const LaunchFlag* flag(const std::string& name) const;       // null when absent
  const std::string* variable(const std::string& name) const;  // of `env`; null when absent
};

}  // namespace ds4::profiles

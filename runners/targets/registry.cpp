#include "runners/targets/registry.h"

#include <algorithm>
#include <array>

#include "engine/base/error.h"

namespace ds4::runners {
namespace {

constexpr std::array kKinds{
    TargetKind{"engine", "the embedded engine, on the checkpoint the profile names",
               make_engine_target, /*fills_the_machine=*/true},
    TargetKind{"http", "a server that speaks the OpenAI protocol, at `server.url`",
               make_http_target},
    TargetKind{"managed", "a server that is started by `[launch]`, and then asked like `http`",
               make_managed_target, /*fills_the_machine=*/true},
    TargetKind{"null", "answers at once with nothing: measures the harness itself",
               make_null_target},
    TargetKind{"replay", "the answers of a recorded run, from the database `recording`",
               make_replay_target},
    TargetKind{"scripted", "plays the behaviour written in the profile's `script` file",
               make_scripted_target},
};

}  // namespace

std::span<const TargetKind> target_kinds() {
  return kKinds;
}

std::unique_ptr<Target> make_target(const profiles::Profile& profile) {
  for (const TargetKind& kind : kKinds) {
    if (kind.name == profile.target) return kind.make(profile);
  }
  throw Error(ErrorCode::kProfile, "unknown target `" + profile.target + "`",
              "`ds4-sweep list targets` names them.");
}

bool fills_the_machine(const profiles::Profile& profile) {
  return std::any_of(kKinds.begin(), kKinds.end(), [&](const TargetKind& kind) {
    return kind.name == profile.target && kind.fills_the_machine;
  });
}

}  // namespace ds4::runners

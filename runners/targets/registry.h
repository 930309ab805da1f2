// The single list of targets.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "profiles/schema/profile.h"
#include "runners/targets/target.h"

namespace ds4::runners {

struct TargetKind {
  std::string_view name;
  std::string_view description;
  std::unique_ptr<Target> (*make)(const profiles::Profile& profile);
  bool fills_the_machine = false;  // measures rightly only where nobody else does
};

std::span<const TargetKind> target_kinds();

/// The target a profile names. Throws Error(kProfile) for an unknown one.
std::unique_ptr<Target> make_target(const profiles::Profile& profile);

/// TargetKind::fills_the_machine of the target a profile names; false for an unknown one.
bool fills_the_machine(const profiles::Profile& profile);

// One per file of this folder.
std::unique_ptr<Target> make_engine_target(const profiles::Profile& profile);
std::unique_ptr<Target> make_http_target(const profiles::Profile& profile);
std::unique_ptr<Target> make_managed_target(const profiles::Profile& profile);
std::unique_ptr<Target> make_null_target(const profiles::Profile& profile);
std::unique_ptr<Target> make_replay_target(const profiles::Profile& profile);
std::unique_ptr<Target> make_scripted_target(const profiles::Profile& profile);

}  // namespace ds4::runners

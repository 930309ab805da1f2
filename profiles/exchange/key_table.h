// The table of the published .env profiles' keys: where each one's value lives here. Import and
// export both read it.
#pragma once

#include <span>

namespace ds4::profiles {

/// What becomes of a key's value.
enum class Home {
  kSetting,   // a key of [engine], as it stands
  kText,      // of [launch]
  kFlag,      // of [launch.flags]
  kSwitch,    // a flag without a value: 1 on, 0 off ("no-...")
  kLauncher,  // of [launch.launcher]
  kNone,      // `to` says why
  kModelDir,
  kKvDtype,
  kFloorKb,
  kFloorGib,
  kThinking,
  kDrafts,
  kTools,
  kReasoning,
  kExtra,
  kPrefixMode,
  kManaged,
  kPackedKv,
  kIndex,
};

/// `to`: the setting, the flag, or the reason, as `home` has it.
struct EnvKey {
  const char* name;
  Home home;
  const char* to = "";
  bool exported = true;  // false: another key of the table says it
};

/// In the order in which an export writes them.
std::span<const EnvKey> env_key_table();

/// The parser of tools and reasoning that the switches of those files mean, and the flag that says
/// whether to think.
inline constexpr const char* kParser = "deepseek_v4";
inline constexpr const char* kTemplate = "default-chat-template-kwargs";

}  // namespace ds4::profiles

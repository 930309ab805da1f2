// A server's command line from a profile: what [engine] decides, then [launch.flags].
#pragma once

#include <string>
#include <vector>

#include "profiles/schema/profile.h"

namespace ds4::profiles {

/// The flags in order, each once; one of [launch.flags] stands in place of a derived one of its
/// name. Drafts follow engine.draft_tokens alone: without any, speculative-config is left out.
std::vector<LaunchFlag> server_flags(const Profile& profile);

/// What the server loads: launch.model, MODEL_DIR of the start script, or the checkpoint's folder.
/// Throws Error(kProfile) when none is known.
std::string server_model(const Profile& profile);

/// The whole command as words, without environment: launch.command with its placeholders filled in,
/// else "vllm", "serve", model, flags. Throws Error(kProfile) for a server whose command is not
/// known.
std::vector<std::string> server_command(const Profile& profile);

/// Where a server that ds4-sweep starts listens, and which ds4-sweep that is.
struct CommandPlace {
  std::string host, port;
  std::string program;  // {ds4-sweep}
};

/// The command that starts the server there. For vllm and sglang without launch.command that is
/// server_command() with host and port.
std::vector<std::string> managed_command(const Profile& profile, const CommandPlace& place);

/// `text` of --speculative-config with so many tokens; of "" the method that K160 was published
/// with. "" when the text is no JSON object.
std::string drafts_json(const std::string& text, int64_t tokens);

/// The number of tokens a --speculative-config asks for; 0 when it does not say.
int64_t drafts_of(const std::string& text);

}  // namespace ds4::profiles

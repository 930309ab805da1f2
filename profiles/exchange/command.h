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

/// The whole command as words, without environment: "vllm", "serve", model, flags.
std::vector<std::string> server_command(const Profile& profile);

/// `text` of --speculative-config with so many tokens; of "" the method that K160 was published
/// with. "" when the text is no JSON object.
std::string drafts_json(const std::string& text, int64_t tokens);

/// The number of tokens a --speculative-config asks for; 0 when it does not say.
int64_t drafts_of(const std::string& text);

}  // namespace ds4::profiles

// Foreign profiles as ours: the .env files of vLLM start scripts and vLLM Studio's recipes. Text
// in, text out; nothing in them is run. docs/import.md lists what becomes of every key.
#pragma once

#include <string>
#include <string_view>

#include "profiles/exchange/draft.h"

namespace ds4::profiles {

/// `origin` is the file's name: it names places in messages, and the profile. Throws
/// Error(kProfile) for text that is no .env file.
Draft import_env(std::string_view text, const std::string& origin);

/// Throws Error(kProfile) for text that is no JSON object, or nests too deep.
Draft import_recipe(std::string_view text, const std::string& origin);

}  // namespace ds4::profiles

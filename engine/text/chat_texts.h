// The long fixed texts of the prompt format, byte for byte (model.md 6.3-6.5).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/api/text.h"

namespace ds4::text {

/// The text in front of the first message in thinking mode; empty where the level has none.
/// `effort`: "", "low", "high" or "max"; anything else throws Error(kUsage).
std::string_view effort_prefix(std::string_view effort, Release release);

/// The text that introduces a response format; the schema follows.
extern const std::string_view kResponseFormatIntro;

/// The tools block around `schemas`, one line of JSON per tool.
std::string tools_block(const std::vector<std::string>& schemas);

}  // namespace ds4::text

// What parse_completion and StreamParser must agree on: where a completion may end and where a tool
// block may begin.
#pragma once

#include <array>
#include <string_view>

#include "engine/text/markers.h"

namespace ds4::text {

/// Text at which a completion ends in tolerant mode: EOS, and a user turn that should not be there.
inline constexpr std::array<std::string_view, 2> kCompletionStops = {kEos, kUser};

/// What may begin a tool block in tolerant mode.
inline constexpr std::array<std::string_view, 3> kBlockStarts = {"<｜DSML｜", "<DSML｜",
                                                                 "<tool_calls"};

/// Newlines directly before a tool block that belong to it.
inline constexpr size_t kBlockNewlines = 2;

}  // namespace ds4::text

// The special strings of the model's text format (model.md section 6), spelled once.
// `｜` is U+FF5C and `▁` is U+2581.
#pragma once

#include <string_view>

namespace ds4::text {

inline constexpr std::string_view kBos = "<｜begin▁of▁sentence｜>";
inline constexpr std::string_view kEos = "<｜end▁of▁sentence｜>";
inline constexpr std::string_view kUser = "<｜User｜>";
inline constexpr std::string_view kAssistant = "<｜Assistant｜>";
inline constexpr std::string_view kLatestReminder = "<｜latest_reminder｜>";
inline constexpr std::string_view kThinkBegin = "<think>";
inline constexpr std::string_view kThinkEnd = "</think>";
inline constexpr std::string_view kDsml = "｜DSML｜";

// Tags of a tool-call block as the model is taught to write them, without the closing `>`.
inline constexpr std::string_view kToolCallsOpen = "<｜DSML｜tool_calls";
inline constexpr std::string_view kToolCallsClose = "</｜DSML｜tool_calls";
inline constexpr std::string_view kInvokeOpen = "<｜DSML｜invoke";
inline constexpr std::string_view kInvokeClose = "</｜DSML｜invoke";
inline constexpr std::string_view kParameterOpen = "<｜DSML｜parameter";
inline constexpr std::string_view kParameterClose = "</｜DSML｜parameter";

}  // namespace ds4::text

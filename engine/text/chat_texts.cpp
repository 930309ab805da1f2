#include "engine/text/chat_texts.h"

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "engine/weights/source.h"

namespace ds4::text {
namespace {

constexpr std::string_view kEffortAbsolute =
    "Reasoning Effort: Absolute maximum with no shortcuts permitted.\n"
    "You MUST be very thorough in your thinking and comprehensively decompose the problem to "
    "resolve the root cause, rigorously stress-testing your logic against all potential paths, "
    "edge cases, and adversarial scenarios.\n"
    "Explicitly write out your entire deliberation process, documenting every intermediate step, "
    "considered alternative, and rejected hypothesis to ensure absolutely no assumption is left "
    "unchecked.\n\n";

constexpr std::string_view kEffortBeyond =
    "Reasoning Effort: Beyond maximum — exhaustive, relentless, and uncompromising.\n"
    "You MUST reason with the utmost depth and rigor, leaving absolutely nothing to chance: "
    "exhaustively decompose the problem into its most fundamental components, trace every causal "
    "chain to its root, and resolve the underlying cause rather than any surface symptom.\n"
    "Do not stop reasoning until you have independently verified the solution from multiple angles "
    "and are certain that no assumption remains unchecked and no error remains undiscovered.\n\n";

constexpr std::string_view kToolsBefore =
    R"(## Tools

You have access to a set of tools to help answer the user's question. You can invoke tools by writing a "<｜DSML｜tool_calls>" block like the following:

<｜DSML｜tool_calls>
<｜DSML｜invoke name="$TOOL_NAME">
<｜DSML｜parameter name="$PARAMETER_NAME" string="true|false">$PARAMETER_VALUE</｜DSML｜parameter>
...
</｜DSML｜invoke>
<｜DSML｜invoke name="$TOOL_NAME2">
...
</｜DSML｜invoke>
</｜DSML｜tool_calls>

String parameters should be specified as is and set `string="true"`. For all other types (numbers, booleans, arrays, objects), pass the value in JSON format and set `string="false"`.

If thinking_mode is enabled (triggered by <think>), you MUST output your complete reasoning inside <think>...</think> BEFORE any tool calls or final response.

Otherwise, output directly after </think> with tool calls or final response.

### Available Tool Schemas

)";

constexpr std::string_view kToolsAfter =
    "\n\nYou MUST strictly follow the above defined tool name and parameter schemas to invoke tool "
    "calls.\n";

}  // namespace

const std::string_view kResponseFormatIntro =
    "\n\n## Response Format:\n\nYou MUST strictly adhere to the following schema to reply:\n";

std::string_view effort_prefix(std::string_view effort, Release release) {
  if (effort.empty() || effort == "low") return "";
  if (effort == "high") return release == Release::kApril ? "" : kEffortAbsolute;
  if (effort == "max") return release == Release::kApril ? kEffortAbsolute : kEffortBeyond;
  throw Error(ErrorCode::kUsage, "reasoning effort `" + std::string(effort) + "` is unknown",
              "Use low, high or max, or leave it out.");
}

std::string tools_block(const std::vector<std::string>& schemas) {
  std::string out(kToolsBefore);
  for (size_t i = 0; i < schemas.size(); ++i) {
    if (i > 0) out += "\n";
    out += schemas[i];
  }
  return out.append(kToolsAfter);
}

}  // namespace ds4::text

namespace ds4 {

std::optional<Release> release_of_checkpoint(const std::filesystem::path& folder) {
  const auto file = weights::resolve_source(folder).directory / "encoding" / "encoding_dsv4.py";
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(file, ignored)) return std::nullopt;
  // Only the later encoder has a table of effort texts.
  const bool has_table = read_file(file).find("REASONING_EFFORT_PROMPTS") != std::string::npos;
  return has_table ? Release::k0731 : Release::kApril;
}

}  // namespace ds4

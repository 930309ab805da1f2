// Reads one tool-call block of a completion (model.md 6.6). Two readers for one format: as the
// reference demands, and as a server should; completion_parser finds the blocks.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/chat.h"

namespace ds4::text {

struct DsmlBlock {
  std::vector<ToolCall> calls;  // ids are empty: the format has none
  size_t length = 0;            // bytes of the text that the block takes
};

/// One `"name": value` of a call's arguments.
struct DsmlParameter {
  std::string name;
  bool is_string;
  std::string value;
};

/// What becomes of a value that claims to be JSON (`string="false"`) and is not.
enum class JsonValues {
  kVerbatim,  // it is passed on, as the reference does, and the arguments are broken JSON
  kChecked,   // it becomes a string
};

/// The arguments of a call as JSON: {"a": "text", "b": 1}. JSON values keep their spelling.
std::string arguments_json(const std::vector<DsmlParameter>& parameters, JsonValues values);

/// `text` begins with `<｜DSML｜tool_calls`. Nothing on any deviation; then `problem` says which.
std::optional<DsmlBlock> read_dsml_strict(std::string_view text, JsonValues values,
                                          std::string& problem);

/// `text` begins with `<`. Takes what read_dsml_strict takes, other white space between tags, tags
/// without the first bar or without `｜DSML｜`, a missing `string`, nested parameters (an object),
/// and values that claim to be JSON and are not (then strings). Nothing if it is no such block.
std::optional<DsmlBlock> read_dsml_tolerant(std::string_view text);

}  // namespace ds4::text

// Turns the messages of a conversation into the turns that are rendered (model.md 6.2): tool
// results move into user turns, results follow the order of the calls, old reasoning is dropped.
#pragma once

#include <string>
#include <vector>

#include "engine/base/chat.h"

namespace ds4::text {

/// A part of a user turn.
struct Block {
  bool is_tool_result = false;
  std::string text;
  std::string tool_call_id;  // tool results only
};

/// A message as rendered. `message.role` is never "tool"; a user turn is told by `blocks` alone.
struct Turn {
  Message message;
  std::vector<Block> blocks;
};

struct Turns {
  std::vector<Turn> list;
  bool drop_thinking = false;
  /// Index in `list` of the last user or developer turn, -1 if there is none.
  int last_user = -1;
};

/// Throws Error(kUsage) for parts that have no place in the format. As in the reference, the task
/// of a message that is merged into the turn before it is lost.
Turns preprocess(const Conversation& conversation);

}  // namespace ds4::text

// One token a byte: how targets without a tokenizer count, so that prompts can be sized exactly.
#pragma once

#include <cstdint>

#include "runners/targets/target.h"

namespace ds4::runners {

inline int64_t count_bytes(const Conversation& conversation) {
  int64_t bytes = 0;
  for (const Message& message : conversation.messages) {
    bytes += static_cast<int64_t>(message.content.size());
  }
  return bytes;
}

inline int64_t count_bytes(const Request& request) {
  if (!request.raw) return count_bytes(request.conversation);
  return static_cast<int64_t>(request.raw->text.size() + request.raw->tokens.size());
}

}  // namespace ds4::runners

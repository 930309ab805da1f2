// The conversation nearly every case is: one user message.
#pragma once

#include <string>
#include <utility>

#include "engine/base/chat.h"

namespace ds4::suites {

inline Message message(std::string role, std::string content) {
  Message out;
  out.role = std::move(role);
  out.content = std::move(content);
  return out;
}

inline Conversation ask(std::string question, bool thinking) {
  Conversation out;
  out.thinking = thinking ? ThinkingMode::kThinking : ThinkingMode::kChat;
  out.messages.push_back(message("user", std::move(question)));
  return out;
}

}  // namespace ds4::suites

// A small server of the OpenAI protocol that plays what a test tells it, with the habits of one
// server or another.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/http_server.h"

namespace ds4::test_support {

/// What it answers and how. The defaults are vLLM's habits, and a byte is a token.
struct ChatPlay {
  std::string model = "played";
  std::vector<std::string> pieces = {"one ", "two ", "three"};    // a token each
  std::vector<std::string> thoughts = {"let me ", "see"};         // where thinking is on
  std::string thinking_switch = "chat_template_kwargs.thinking";  // the one it honours
  bool thinks_by_itself = false;
  std::string reasoning_field = "reasoning";  // "" = in the text, before </think>
  bool end_mark = true, usage = true, usage_each = true;
  bool tokenize = true, tools = true, logprobs = true, completions = true;
  std::string finish_reason = "stop";
  int piece_ms = 0;
  int64_t prompt_tokens = -1, completion_tokens = -1;       // stated instead of the true ones
  std::function<int64_t(std::string_view)> tokens_of = {};  // of a message; else its bytes
  std::string key = {};                                     // needed in "Authorization: Bearer"
  /// Answers a chat request in its own way; false: the request is answered as above. The number
  /// counts chat requests from 0.
  std::function<bool(int number, const HttpRequest&, HttpConnection&)> chat = {};
  /// The same of any request.
  std::function<bool(const HttpRequest&, HttpConnection&)> any = {};
};

class ChatServer {
 public:
  explicit ChatServer(ChatPlay play, int port = 0);

  HttpServer& http() { return server_; }
  std::string url() const { return server_.url(); }

  /// "data: {...}\n\n" of a piece of text.
  static std::string event(const std::string& content);

 private:
  void answer(const HttpRequest& request, HttpConnection& connection);
  void answer_chat(const HttpRequest& request, HttpConnection& connection);
  void answer_raw(const HttpRequest& request, HttpConnection& connection);

  const ChatPlay play_;
  std::atomic<int> chats_ = 0;
  HttpServer server_;
};

}  // namespace ds4::test_support

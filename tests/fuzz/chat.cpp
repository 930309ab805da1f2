// Conversations of any shape: rendered or refused.
#include "engine/api/text.h"
#include "tests/fuzz/fuzz.h"

using namespace ds4;

namespace {

// Takes a conversation out of bytes, piece by piece.
class Source {
 public:
  explicit Source(std::string_view bytes) : bytes_(bytes) {}

  bool empty() const { return bytes_.empty(); }
  uint8_t byte() {
    if (bytes_.empty()) return 0;
    const auto value = static_cast<uint8_t>(bytes_.front());
    bytes_.remove_prefix(1);
    return value;
  }
  bool flag() { return byte() & 1; }
  std::string text() {
    const size_t wanted = byte();  // before size() is asked: it takes one away
    const size_t length = std::min(wanted, bytes_.size());
    std::string out(bytes_.substr(0, length));
    bytes_.remove_prefix(length);
    return out;
  }

 private:
  std::string_view bytes_;
};

Message message(Source& source) {
  static constexpr const char* kRoles[] = {"system",          "user",      "assistant", "tool",
                                           "latest_reminder", "developer", "other"};
  Message out;
  out.role = kRoles[source.byte() % 7];
  out.content = source.text();
  const uint8_t parts = source.byte();
  if (parts & 1) out.content_parts.push_back({source.flag() ? "text" : "image", source.text()});
  if (parts & 2) out.reasoning_content = source.text();
  if (parts & 4) out.tool_calls.push_back({source.text(), source.text(), source.text()});
  if (parts & 8) out.tool_call_id = source.text();
  if (parts & 16) out.tools.push_back(source.text());
  if (parts & 32) out.response_format = source.text();
  if (parts & 64) out.task = source.text();
  out.without_eos = parts & 128;
  return out;
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Source source(fuzz::as_text(data, size));
  Conversation conversation;
  const uint8_t flags = source.byte();
  conversation.thinking = flags & 1 ? ThinkingMode::kThinking : ThinkingMode::kChat;
  conversation.drop_thinking = flags & 2;
  conversation.has_context_prefix = flags & 4;
  static constexpr const char* kEfforts[] = {"", "low", "high", "max"};
  conversation.reasoning_effort = kEfforts[(flags >> 3) % 4];
  while (!source.empty() && conversation.messages.size() < 64) {
    conversation.messages.push_back(message(source));
  }
  fuzz::refuses([&] {
    const std::string prompt =
        render_prompt(conversation, flags & 32 ? Release::k0731 : Release::kApril);
    fuzz::require(conversation.has_context_prefix || conversation.messages.empty() ||
                      prompt.find("<｜begin▁of▁sentence｜>") != std::string::npos,
                  "a prompt begins with BOS");
  });
  return 0;
}

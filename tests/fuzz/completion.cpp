// A completion of any bytes: the tolerant parser never throws, streaming in any pieces equals the
// whole, and plain text that the strict parser accepts the tolerant one reads the same way.
#include "engine/api/text.h"
#include "tests/fuzz/fuzz.h"

using namespace ds4;

namespace {

void check_stream(std::string_view text, ThinkingMode thinking, uint8_t seed,
                  const ParsedCompletion& whole) {
  StreamParser parser(thinking);
  std::string reasoning, content;
  const auto take = [&](const StreamParser::Delta& delta) {
    reasoning += delta.reasoning;
    content += delta.content;
  };
  uint32_t state = seed;
  while (!text.empty()) {
    state = state * 1664525 + 1013904223;
    const size_t length = std::min<size_t>(1 + (state >> 28), text.size());
    take(parser.push(text.substr(0, length)));
    text.remove_prefix(length);
  }
  ParsedCompletion completion;
  take(parser.finish(completion));
  fuzz::require(reasoning == whole.reasoning, "streamed reasoning equals the whole");
  fuzz::require(content == whole.content, "streamed content equals the whole");
  fuzz::require(completion.tool_calls == whole.tool_calls, "streamed calls equal the whole");
}

// What a server reads more generously than the reference (model.md 6.6): there they may differ.
bool generous(std::string_view text) {
  for (const char* piece : {"<｜User｜>", "<tool_calls", "<DSML", "<invoke", "<think>"}) {
    if (text.find(piece) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const auto thinking = data[0] & 1 ? ThinkingMode::kThinking : ThinkingMode::kChat;
  const std::string_view text = fuzz::as_text(data + 1, size - 1);
  const ParsedCompletion whole = parse_completion(text, thinking, ParseMode::kTolerant);
  check_stream(text, thinking, data[0], whole);
  fuzz::refuses([&] {
    const ParsedCompletion strict = parse_completion(text, thinking, ParseMode::kStrict);
    if (generous(text)) return;
    fuzz::require(strict.reasoning == whole.reasoning, "both parsers read the same reasoning");
    fuzz::require(strict.content == whole.content, "both parsers read the same content");
    fuzz::require(strict.tool_calls.size() == whole.tool_calls.size(),
                  "both parsers read the same calls");
  });
  return 0;
}

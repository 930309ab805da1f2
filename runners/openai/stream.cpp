#include "runners/openai/stream.h"

#include "runners/openai/piece.h"

namespace ds4::runners::openai {
namespace {

// Of one answer with everything around it: a million tokens with log-probabilities fit.
constexpr size_t kMostBytes = size_t{1} << 30;

}  // namespace

bool AnswerReader::feed(std::string_view bytes, double time_s) {
  if (over()) return false;
  bytes_ += bytes.size();
  if (bytes_ > kMostBytes || (!streamed_ && bytes_ > SseParser::kMostEventBytes)) {
    answer_.problem = "the reply is longer than any answer";
    return false;
  }
  if (!streamed_) {
    body_ += bytes;
    return true;
  }
  if (!sse_.feed(bytes, [&](const SseEvent& event) { take_event(event, time_s); })) {
    answer_.problem = "an event of the stream is longer than " +
                      std::to_string(SseParser::kMostEventBytes) + " bytes";
  }
  return !over();
}

void AnswerReader::finish(double time_s) {
  if (!over() && streamed_) {
    sse_.finish([&](const SseEvent& event) { take_event(event, time_s); });
  } else if (!over()) {
    take_piece(read_piece(body_), time_s);
    answer_.end_mark = answer_.problem.empty();
  }
  end_texts();
}

// What is left of cut characters never becomes one.
void AnswerReader::end_texts() {
  answer_.content += content_.end();
  answer_.reasoning += reasoning_.end();
  for (size_t i = 0; i < arguments_.size(); ++i) {
    answer_.tool_calls[i].arguments += arguments_[i].end();
  }
}

void AnswerReader::take_event(const SseEvent& event, double time_s) {
  if (over()) return;  // whatever comes behind the end belongs to nothing
  if (is_end_mark(event.data)) {
    answer_.end_mark = true;
    return;
  }
  if (event.name == "error") {
    answer_.error = read_error(event.data);
    return;
  }
  if (event.data.find_first_not_of(" \t\r\n") == std::string::npos) return;
  take_piece(read_piece(event.data), time_s);
}

void AnswerReader::take_piece(Piece piece, double time_s) {
  answer_.error = std::move(piece.error);
  answer_.problem = std::move(piece.problem);
  if (over()) return;
  if (!answer_.finish_reason.empty() && !(piece.content + piece.reasoning).empty()) {
    answer_.problem = "text came after the finish reason";
    return;
  }
  const int64_t tokens = tokens_of(piece);
  if (piece.usage) answer_.usage = piece.usage;
  if (!piece.has_choice) return;
  if (!piece.reasoning.empty() && answer_.first_reasoning_s < 0) {
    answer_.first_reasoning_s = time_s;
  }
  const bool visible = !piece.content.empty() || !piece.tool_calls.empty();
  if (visible && answer_.first_content_s < 0) answer_.first_content_s = time_s;
  answer_.content += content_.add(piece.content);
  answer_.reasoning += reasoning_.add(piece.reasoning);
  answer_.logprobs.insert(answer_.logprobs.end(), piece.logprobs.begin(), piece.logprobs.end());
  const int64_t bytes = static_cast<int64_t>(piece.content.size() + piece.reasoning.size()) +
                        take_calls(piece.tool_calls);
  if (bytes > 0) answer_.arrivals.push_back({time_s, bytes, tokens});
  if (!piece.finish_reason.empty()) {
    answer_.finish_reason = piece.finish_reason;
    answer_.finish_s = time_s;
  }
}

// Returns the bytes of text that came with them.
int64_t AnswerReader::take_calls(const std::vector<ToolCallDelta>& deltas) {
  size_t bytes = 0;
  for (const ToolCallDelta& delta : deltas) {
    auto [place, is_new] = call_places_.try_emplace(delta.index, answer_.tool_calls.size());
    // llama.cpp's grammar and some parsers begin a new call under the index of the last one; only
    // the id tells.
    if (!is_new && !delta.id.empty() && !delta.name.empty() &&
        !answer_.tool_calls[place->second].id.empty() &&
        delta.id != answer_.tool_calls[place->second].id) {
      place->second = answer_.tool_calls.size();
      is_new = true;
    }
    if (is_new) {
      answer_.tool_calls.emplace_back();
      arguments_.emplace_back();
    }
    ToolCall& call = answer_.tool_calls[place->second];
    if (call.id.empty()) call.id = delta.id;
    // The name comes whole, once; servers that repeat it with every fragment mean the same one.
    if (call.name.empty()) call.name = delta.name;
    call.arguments += arguments_[place->second].add(delta.arguments);
    bytes += delta.name.size() * is_new + delta.arguments.size();
  }
  return static_cast<int64_t>(bytes);
}

int64_t AnswerReader::tokens_of(const Piece& piece) {
  if (!piece.logprobs.empty()) return static_cast<int64_t>(piece.logprobs.size());
  if (!streamed_ || !piece.has_choice || !piece.usage || piece.usage->completion_tokens < 0) {
    return 0;
  }
  // Counts in a piece with text are those of the whole answer so far. With the finish reason alone
  // they are the final ones, and say nothing of this piece.
  if (!piece.finish_reason.empty()) return 0;
  const int64_t added = piece.usage->completion_tokens - stated_tokens_;
  stated_tokens_ = piece.usage->completion_tokens;
  return added > 0 ? added : 0;
}

}  // namespace ds4::runners::openai

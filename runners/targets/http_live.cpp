#include "runners/targets/http_live.h"

#include <utility>

namespace ds4::runners {

LiveText::LiveText(bool parse, ThinkingMode thinking) {
  if (parse) parser_.emplace(thinking);
}

void LiveText::grow(const openai::Answer& answer) {
  const std::lock_guard lock(mutex_);
  arrivals_ = std::ssize(answer.arrivals);
  waiting_.reasoning += answer.reasoning.substr(reasoning_seen_);
  const std::string text = answer.content.substr(content_seen_);
  reasoning_seen_ = answer.reasoning.size();
  content_seen_ = answer.content.size();
  if (parser_) {
    const StreamParser::Delta delta = parser_->push(text);
    waiting_.reasoning += delta.reasoning;
    waiting_.content += delta.content;
  } else {
    waiting_.content += text;
  }
  for (; logprobs_seen_ < answer.logprobs.size(); ++logprobs_seen_) {
    waiting_.logprobs.push_back(answer.logprobs[logprobs_seen_]);
  }
}

void LiveText::finish() {
  const std::lock_guard lock(mutex_);
  if (!parser_) return;
  ParsedCompletion parsed;
  const StreamParser::Delta rest = parser_->finish(parsed);
  waiting_.reasoning += rest.reasoning;
  waiting_.content += rest.content;
}

void LiveText::add(const Response& response) {
  const std::lock_guard lock(mutex_);
  waiting_.reasoning = response.answer.reasoning;
  waiting_.content = response.answer.content;
  waiting_.logprobs = response.logprobs;
  arrivals_ = response.completion_tokens;
}

int64_t LiveText::arrivals() const {
  const std::lock_guard lock(mutex_);
  return arrivals_;
}

Pieces LiveText::take() {
  const std::lock_guard lock(mutex_);
  waiting_.tokens = arrivals_;
  return std::exchange(waiting_, {});
}

}  // namespace ds4::runners

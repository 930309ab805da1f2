// StreamParser of engine/api/text.h. It decides only how much may be shown early; what the whole
// completion means is parse_completion's business, so that the two cannot disagree.
#include <algorithm>

#include "engine/api/text.h"
#include "engine/base/check.h"
#include "engine/text/completion_parser.h"

namespace ds4 {
namespace {

using text::kBlockNewlines;
using text::kBlockStarts;
using text::kCompletionStops;
using text::kThinkBegin;
using text::kThinkEnd;

constexpr size_t kNone = std::string_view::npos;

enum class Stage {
  kStart,      // a leading <think> is still possible
  kReasoning,  // before </think>
  kContent,
  kHeld,  // a tool block began, or the completion ended: nothing more before finish()
};

size_t first_of(std::string_view text, std::span<const std::string_view> markers) {
  size_t first = kNone;
  for (const std::string_view marker : markers) first = std::min(first, text.find(marker));
  return first;
}

// Length of the longest end of `text` that is the beginning, not all, of one of the markers.
size_t unfinished(std::string_view text, std::span<const std::string_view> markers) {
  size_t longest = 0;
  for (const std::string_view marker : markers) {
    for (size_t n = std::min(marker.size() - 1, text.size()); n > longest; --n) {
      if (text.ends_with(marker.substr(0, n))) longest = n;
    }
  }
  return longest;
}

size_t without_newlines(std::string_view text, size_t end) {
  for (size_t i = 0; i < kBlockNewlines && end > 0 && text[end - 1] == '\n'; ++i) --end;
  return end;
}

}  // namespace

struct StreamParser::State {
  ThinkingMode thinking;
  std::string raw;   // all text so far
  size_t shown = 0;  // of `raw`: passed on, or known to be a marker
  Stage stage = Stage::kStart;
  size_t reasoning_bytes = 0;  // passed on so far
  size_t content_bytes = 0;
  bool is_finished = false;

  std::string_view rest() const { return std::string_view(raw).substr(shown); }

  void show(size_t length, Delta& delta) {
    const std::string_view part = rest().substr(0, length);
    (stage == Stage::kReasoning ? delta.reasoning : delta.content) += part;
    (stage == Stage::kReasoning ? reasoning_bytes : content_bytes) += part.size();
    shown += part.size();
  }

  // Each returns true if the stage changed and the rest wants another look.
  bool start() {
    if (kThinkBegin.starts_with(rest()) && rest().size() < kThinkBegin.size()) return false;
    const bool has_begin = rest().starts_with(kThinkBegin);
    if (has_begin) shown += kThinkBegin.size();
    const bool is_reasoning = has_begin || thinking == ThinkingMode::kThinking;
    stage = is_reasoning ? Stage::kReasoning : Stage::kContent;
    return true;
  }

  bool reasoning(Delta& delta) {
    static constexpr std::array kMarkers = {kThinkEnd, kCompletionStops[0], kCompletionStops[1]};
    const size_t marker = first_of(rest(), kMarkers);
    if (marker == kNone) {
      show(rest().size() - unfinished(rest(), kMarkers), delta);
      return false;
    }
    show(marker, delta);
    const bool is_end = rest().starts_with(kThinkEnd);
    if (is_end) shown += kThinkEnd.size();
    stage = is_end ? Stage::kContent : Stage::kHeld;
    return true;
  }

  bool content(Delta& delta) {
    static constexpr std::array kMarkers = {kBlockStarts[0], kBlockStarts[1], kBlockStarts[2],
                                            kCompletionStops[0], kCompletionStops[1]};
    const size_t marker = first_of(rest(), kMarkers);
    const size_t end = marker != kNone ? marker : rest().size() - unfinished(rest(), kMarkers);
    show(without_newlines(rest(), end), delta);
    if (marker != kNone) stage = Stage::kHeld;
    return false;
  }

  bool step(Delta& delta) {
    switch (stage) {
      case Stage::kStart:
        return start();
      case Stage::kReasoning:
        return reasoning(delta);
      case Stage::kContent:
        return content(delta);
      case Stage::kHeld:
        return false;
    }
    return false;
  }
};

StreamParser::StreamParser(ThinkingMode thinking) : state_(std::make_unique<State>()) {
  state_->thinking = thinking;
}
StreamParser::~StreamParser() = default;
StreamParser::StreamParser(StreamParser&&) noexcept = default;

StreamParser::Delta StreamParser::push(std::string_view text) {
  DS4_CHECK(!state_->is_finished, "push after finish");
  state_->raw += text;
  Delta delta;
  while (state_->step(delta)) {
  }
  return delta;
}

StreamParser::Delta StreamParser::finish(ParsedCompletion& completion) {
  DS4_CHECK(!state_->is_finished, "finish twice");
  state_->is_finished = true;
  completion = parse_completion(state_->raw, state_->thinking, ParseMode::kTolerant);
  DS4_CHECK(state_->reasoning_bytes <= completion.reasoning.size());
  DS4_CHECK(state_->content_bytes <= completion.content.size());
  return {completion.reasoning.substr(state_->reasoning_bytes),
          completion.content.substr(state_->content_bytes)};
}

}  // namespace ds4

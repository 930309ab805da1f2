// parse_completion of engine/api/text.h: cuts a completion into reasoning, content and tool blocks
// (model.md 6.6); the blocks themselves are read in dsml_strict and dsml_tolerant.
#include "engine/text/completion_parser.h"

#include <algorithm>

#include "engine/api/text.h"
#include "engine/base/error.h"
#include "engine/text/dsml.h"

namespace ds4 {
namespace text {
namespace {

constexpr size_t kNone = std::string_view::npos;

template <size_t n>
size_t find_first(std::string_view text, const std::array<std::string_view, n>& literals,
                  size_t from) {
  size_t first = kNone;
  for (const std::string_view literal : literals) first = std::min(first, text.find(literal, from));
  return first;
}

[[noreturn]] void refuse(const std::string& problem) {
  throw Error(ErrorCode::kUsage, "completion: " + problem,
              "Parse text that a model wrote freely in tolerant mode.");
}

void refuse_markers(std::string_view part, const char* name) {
  for (const std::string_view marker : {kBos, kEos, kThinkBegin, kThinkEnd, kDsml}) {
    if (part.find(marker) != kNone) {
      refuse(std::string("the ") + name + " contains the marker " + std::string(marker));
    }
  }
}

ParsedCompletion parse_strict(std::string_view text, ThinkingMode thinking) {
  const std::string block_start = "\n\n" + std::string(kToolCallsOpen);
  ParsedCompletion parsed;
  if (thinking == ThinkingMode::kThinking) {
    const size_t end = text.find(kThinkEnd);
    if (text.find(block_start) < end) refuse("a tool block begins before </think>");
    if (end == kNone) refuse("</think> is missing");
    parsed.reasoning = text.substr(0, end);
    text.remove_prefix(end + kThinkEnd.size());
  }
  const size_t block = text.find(block_start);
  const size_t eos = text.find(kEos);
  if (block == kNone && eos == kNone) refuse("the end-of-sentence marker is missing");
  const size_t end = std::min(block, eos);
  parsed.content = text.substr(0, end);
  text.remove_prefix(end);
  if (block < eos) {
    text.remove_prefix(2);
    std::string problem;
    auto calls = read_dsml_strict(text, JsonValues::kVerbatim, problem);
    if (!calls) refuse(problem);
    parsed.tool_calls = std::move(calls->calls);
    text.remove_prefix(calls->length);
  }
  if (text != kEos) refuse("exactly the end-of-sentence marker must come last");
  refuse_markers(parsed.reasoning, "reasoning");
  refuse_markers(parsed.content, "content");
  return parsed;
}

struct Range {
  size_t begin;
  size_t end;
};

// The tool blocks of a text from one position on.
struct Blocks {
  std::vector<ToolCall> calls;
  std::vector<Range> ranges;
  size_t first = kNone;       // where the first block begins or seems to begin
  bool is_malformed = false;  // a block begins that cannot be read
};

Blocks find_blocks(std::string_view text, size_t from) {
  Blocks blocks;
  bool plain_failed = false;
  for (size_t at = find_first(text, kBlockStarts, from); at != kNone;) {
    blocks.first = std::min(blocks.first, at);
    size_t next = at + 1;
    if (auto block = read_dsml_tolerant(text.substr(at))) {
      std::move(block->calls.begin(), block->calls.end(), std::back_inserter(blocks.calls));
      next = at + block->length;
      blocks.ranges.push_back({at, next});
    } else if (text.substr(at).starts_with("<tool_calls")) {
      plain_failed = true;  // may be prose about the tag; a real block can still follow
    } else {
      blocks.is_malformed = true;
      break;
    }
    at = find_first(text, kBlockStarts, next);
  }
  if (plain_failed && blocks.ranges.empty()) blocks.is_malformed = true;
  return blocks;
}

// The last `</think>` after the first block's beginning and outside all blocks, or kNone. Blocks
// before it were part of the model's reasoning.
size_t last_think_end(std::string_view text, const Blocks& blocks) {
  if (blocks.first == kNone) return kNone;
  // Never at the first byte of a block, hence `at` is positive wherever the loop goes on.
  for (size_t at = text.rfind(kThinkEnd); at != kNone && at >= blocks.first;
       at = text.rfind(kThinkEnd, at - 1)) {
    const auto holds = [&](const Range& range) { return range.begin <= at && at < range.end; };
    if (std::none_of(blocks.ranges.begin(), blocks.ranges.end(), holds)) return at;
  }
  return kNone;
}

void parse_body(std::string_view body, ParsedCompletion& parsed) {
  Blocks blocks = find_blocks(body, 0);
  for (size_t at = last_think_end(body, blocks); at != kNone; at = last_think_end(body, blocks)) {
    blocks = find_blocks(body, at + kThinkEnd.size());
  }
  parsed.well_formed = !blocks.is_malformed;
  if (blocks.is_malformed || blocks.ranges.empty()) {
    parsed.content = body;
    return;
  }
  size_t end = blocks.ranges[0].begin;
  for (size_t i = 0; i < kBlockNewlines && end > 0 && body[end - 1] == '\n'; ++i) --end;
  parsed.content = body.substr(0, end);
  for (size_t i = 0; i < blocks.ranges.size(); ++i) {
    const size_t begin = blocks.ranges[i].end;
    const size_t stop = i + 1 < blocks.ranges.size() ? blocks.ranges[i + 1].begin : body.size();
    const std::string_view gap = body.substr(begin, stop - begin);
    if (gap.find_first_not_of(" \t\n\v\f\r") != kNone) parsed.content += gap;
  }
  parsed.tool_calls = std::move(blocks.calls);
}

ParsedCompletion parse_tolerant(std::string_view text, ThinkingMode thinking) {
  ParsedCompletion parsed;
  text = text.substr(0, find_first(text, kCompletionStops, 0));
  bool is_thinking = thinking == ThinkingMode::kThinking;
  if (text.starts_with(kThinkBegin)) {
    is_thinking = true;
    text.remove_prefix(kThinkBegin.size());
  }
  if (is_thinking) {
    const size_t end = text.find(kThinkEnd);
    parsed.reasoning = text.substr(0, end);
    if (end == kNone) return parsed;
    text.remove_prefix(end + kThinkEnd.size());
  }
  parse_body(text, parsed);
  return parsed;
}

}  // namespace
}  // namespace text

ParsedCompletion parse_completion(std::string_view text, ThinkingMode thinking, ParseMode mode) {
  return mode == ParseMode::kStrict ? text::parse_strict(text, thinking)
                                    : text::parse_tolerant(text, thinking);
}

}  // namespace ds4

#include "runners/openai/counts.h"

#include <algorithm>
#include <cmath>

namespace ds4::runners::openai {
namespace {

// A token of text has a byte at least. Markers that the server takes out have none: around
// reasoning, around an answer, and many around a call.
constexpr int64_t kMarkers = 16;
constexpr int64_t kMarkersOfCall = 128;
// Words are about four bytes a token; runs of blanks or of one character are the longest.
constexpr int64_t kMostBytesOfToken = 40;
constexpr int64_t kSomeBytes = 1024;
// A parser may cut a token into a few pieces (a name and the first of its arguments), not each one.
constexpr int64_t kPiecesOfToken = 2;
constexpr int64_t kFewPieces = 8;
// What templates and built-in system prompts add.
constexpr int64_t kTemplateTokens = 4096;
// Of our own count, when it is the server's tokenizer's, and when it is an estimate.
constexpr double kExactShare = 0.02;
constexpr double kEstimateFactor = 2;
constexpr int64_t kSlack = 16;
constexpr int64_t kEnoughToJudge = 256;

constexpr int64_t kMostTokens = int64_t{1} << 30;  // what is stated beyond it is a lie anyway

int64_t bytes_of(const Answer& answer) {
  int64_t bytes = 0;
  for (const Arrival& arrival : answer.arrivals) bytes += arrival.bytes;
  return bytes;
}

int64_t hidden_tokens(const Answer& answer) {
  const bool hidden = answer.reasoning.empty() && answer.usage;
  return hidden ? std::max<int64_t>(0, answer.usage->reasoning_tokens) : 0;
}

bool ended_by_token(const Answer& answer) {
  return answer.finish_reason == "stop" || answer.finish_reason == "tool_calls";
}

void add(Timeline& timeline, double time_s, int64_t n) {
  if (n <= 0) return;
  timeline.total += n;
  timeline.tokens.push_back({time_s, static_cast<int>(n)});
}

// One to each arrival and what is left by their bytes.
void spread(Timeline& timeline, const std::vector<Arrival>& arrivals, int64_t n, int64_t bytes) {
  const int64_t count = std::ssize(arrivals);
  const int64_t rest = n - count;
  int64_t seen = 0, given = 0;
  for (const Arrival& arrival : arrivals) {
    seen += arrival.bytes;
    const auto due = static_cast<int64_t>(std::llround(
        static_cast<double>(rest) * static_cast<double>(seen) / static_cast<double>(bytes)));
    add(timeline, arrival.time_s, 1 + due - given);
    given = due;
  }
}

// Fewer tokens than arrivals: the first has one, the others when enough of them have come.
void thin_out(Timeline& timeline, const std::vector<Arrival>& arrivals, int64_t n) {
  const int64_t count = std::ssize(arrivals);
  int64_t given = 0;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t due = ((i + 1) * n + count - 1) / count;
    add(timeline, arrivals[static_cast<size_t>(i)].time_s, due - given);
    given = due;
  }
}

}  // namespace

Timeline timeline_of(const Answer& answer) {
  Timeline timeline;
  const std::vector<Arrival>& arrivals = answer.arrivals;
  int64_t listed = 0;
  bool all_listed = !arrivals.empty();
  for (const Arrival& arrival : arrivals) {
    listed += arrival.tokens;
    all_listed = all_listed && arrival.tokens > 0;
  }
  timeline.stated = answer.usage && answer.usage->completion_tokens >= 0;
  if (!timeline.stated) {
    for (const Arrival& arrival : arrivals) {
      add(timeline, arrival.time_s, all_listed ? arrival.tokens : 1);
    }
    return timeline;
  }
  const int64_t total = std::min(answer.usage->completion_tokens, kMostTokens);
  if (arrivals.empty()) {
    if (answer.finish_s >= 0) add(timeline, answer.finish_s, total);
    return timeline;
  }
  const int64_t hidden = std::min(total, hidden_tokens(answer));
  int64_t n = total - hidden;
  if (all_listed && listed <= n) {
    for (const Arrival& arrival : arrivals) add(timeline, arrival.time_s, arrival.tokens);
  } else {
    const bool end_apart = n > std::ssize(arrivals) && ended_by_token(answer) &&
                           answer.finish_s > arrivals.back().time_s;
    if (end_apart) --n;
    if (n >= std::ssize(arrivals)) {
      spread(timeline, arrivals, n, bytes_of(answer));
    } else {
      thin_out(timeline, arrivals, n);
    }
  }
  const double end = std::max(answer.finish_s, arrivals.back().time_s);
  add(timeline, end, total - hidden - timeline.total);
  if (hidden > 0) {
    timeline.total += hidden;
    if (timeline.tokens.empty()) timeline.tokens.push_back({arrivals.front().time_s, 0});
    timeline.tokens.front().n += static_cast<int>(hidden);
  }
  return timeline;
}

namespace {

std::string states(int64_t count, const char* what) {
  return "the server states " + std::to_string(count) + " " + what + " tokens";
}

std::string completion_doubt(const Answer& answer, const Asked& asked) {
  const int64_t n = answer.usage->completion_tokens;
  const std::string claim = states(n, "completion");
  const int64_t bytes = bytes_of(answer), pieces = std::ssize(answer.arrivals);
  if (asked.max_tokens > 0 && n > asked.max_tokens) {
    return claim + " of at most " + std::to_string(asked.max_tokens);
  }
  if (bytes == 0) return "";
  const int64_t shown = n - hidden_tokens(answer);
  const int64_t markers = kMarkers + kMarkersOfCall * std::ssize(answer.tool_calls);
  if (shown < 1 || shown > bytes + markers || bytes > shown * kMostBytesOfToken + kSomeBytes) {
    return claim + " for " + std::to_string(bytes) + " bytes of text";
  }
  if (pieces > shown * kPiecesOfToken + kFewPieces) {
    return claim + " in " + std::to_string(pieces) + " pieces of text";
  }
  int64_t listed = 0;
  for (const Arrival& arrival : answer.arrivals) listed += arrival.tokens;
  if (listed > n) return claim + " and lists " + std::to_string(listed);
  return "";
}

std::string prompt_doubt(const Answer& answer, const Asked& asked) {
  const int64_t n = answer.usage->prompt_tokens;
  const std::string claim = states(n, "prompt");
  if (answer.usage->cached_tokens > n) {
    return claim + ", of which " + std::to_string(answer.usage->cached_tokens) +
           " came from a cache";
  }
  if (n > asked.prompt_bytes + kTemplateTokens ||
      asked.prompt_bytes > n * kMostBytesOfToken + kSomeBytes) {
    return claim + " for a prompt of " + std::to_string(asked.prompt_bytes) + " bytes";
  }
  if (asked.expected_prompt < kEnoughToJudge) return "";
  const auto expected = static_cast<double>(asked.expected_prompt), stated = static_cast<double>(n);
  const bool off = asked.exact ? std::abs(stated - expected) > kSlack + kExactShare * expected
                               : stated * kEstimateFactor < expected ||
                                     stated > expected * kEstimateFactor + kTemplateTokens;
  if (!off) return "";
  return claim + "; " + (asked.exact ? "its own tokenizer counts " : "about ") +
         std::to_string(asked.expected_prompt) + (asked.exact ? "" : " were expected");
}

}  // namespace

std::string doubt_of(const Answer& answer, const Asked& asked) {
  if (!answer.usage) return "";
  std::string doubt;
  if (answer.usage->completion_tokens >= 0) doubt = completion_doubt(answer, asked);
  if (doubt.empty() && answer.usage->prompt_tokens >= 0) doubt = prompt_doubt(answer, asked);
  return doubt;
}

}  // namespace ds4::runners::openai

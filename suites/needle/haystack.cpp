// Sizing by measured lines: each filler line's cost is counted once in a short prompt, the text is
// put together from lines that add up, and the whole is counted at the end. Line costs add up for
// tokenizers that never merge across a line feed; for others the difference is corrected.
#include "suites/needle/haystack.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/base/error.h"
#include "suites/common/calibration.h"
#include "suites/common/conversation.h"
#include "suites/common/measured_lines.h"
#include "suites/needle/phrases.h"

namespace ds4::suites {
namespace {

constexpr int64_t kMinPool = 64;    // enough different costs for every sum beyond the first few
constexpr int64_t kMaxPool = 4096;  // bounds the counting: a longer text repeats lines
// Of a text that cannot be counted: few enough that one prompt of a few thousand tokens has all.
constexpr int64_t kEstimatedPool = 256;
constexpr int64_t kTokensPerLine = 12;  // a low guess, only to choose the pool's size
constexpr int kMaxCorrections = 24;     // one or two counts suffice unless tokens span line feeds

// A prompt in the making: everything but the counter's view of it.
class Builder {
 public:
  Builder(const HaystackRequest& request, const TokenCounter& counter)
      : request_(request), counter_(counter), rng_(request.seed) {}

  Haystack build();

  // The first `n` lines that a long text is made of, once. What all are together they are in every
  // round.
  Conversation lines_once(int64_t n) const {
    std::vector<std::string> lines = filler_lines(n);
    lines.push_back(request_.fact);
    return conversation(lines);
  }

 private:
  std::string assemble(const std::vector<std::string>& lines) const {
    std::string text = request_.opening;
    for (size_t i = 0; i < lines.size(); ++i) {
      if (i > 0) text += request_.joiner;
      text += lines[i];
    }
    return text + request_.closing;
  }
  Conversation conversation(const std::vector<std::string>& lines) const {
    return ask(assemble(lines), request_.thinking);
  }
  int64_t count(const std::vector<std::string>& lines) const {
    return counter_.count(conversation(lines));
  }
  // What a line adds between two others.
  int64_t cost(const std::string& line) const {
    return std::max<int64_t>(1, count({request_.fact, line, request_.fact}) - pair_tokens_);
  }
  std::vector<std::string> filler_lines(int64_t wanted) const;
  LineFiller measure_filler(int64_t room) const;
  void place_other_facts(int64_t before);
  std::vector<std::string> side(std::vector<std::string> lines, std::vector<std::string> facts,
                                uint64_t label) const;

  const HaystackRequest& request_;
  const TokenCounter& counter_;
  const Rng rng_;
  int64_t pair_tokens_ = 0;  // of a prompt with the fact twice
  std::vector<std::string> before_facts_, after_facts_;
  int64_t before_facts_tokens_ = 0, after_facts_tokens_ = 0;
};

std::vector<std::string> Builder::filler_lines(int64_t wanted) const {
  std::vector<std::string> lines;
  Rng rng = rng_.stream(1);
  std::set<std::string> seen;
  while (std::ssize(lines) < wanted) {
    std::string line = random_filler_line(rng, request_.prose);
    if (seen.insert(line).second) lines.push_back(std::move(line));
  }
  return lines;
}

LineFiller Builder::measure_filler(int64_t room) const {
  const int64_t most = counter_.exact ? kMaxPool : kEstimatedPool;
  std::vector<MeasuredLine> lines;
  for (std::string& line : filler_lines(std::clamp(2 * room / kTokensPerLine, kMinPool, most))) {
    const int64_t tokens = cost(line);
    lines.push_back({std::move(line), tokens});
  }
  return LineFiller(std::move(lines), rng_.stream(2));
}

// Every other fact has a random depth; it goes to the side of the asked fact where that lies, if
// there is room.
void Builder::place_other_facts(int64_t before) {
  Rng rng = rng_.stream(3);
  for (const std::string& fact : request_.other_facts) {
    const int64_t tokens = cost(fact);
    const bool first = static_cast<double>(rng.below(10000)) < request_.depth * 10000;
    if (first && before_facts_tokens_ + tokens <= before) {
      before_facts_.push_back(fact);
      before_facts_tokens_ += tokens;
    } else {
      after_facts_.push_back(fact);
      after_facts_tokens_ += tokens;
    }
  }
}

std::vector<std::string> Builder::side(std::vector<std::string> lines,
                                       std::vector<std::string> facts, uint64_t label) const {
  Rng rng = rng_.stream(label);
  for (std::string& fact : facts) {
    const auto at = static_cast<int64_t>(rng.below(lines.size() + 1));
    lines.insert(lines.begin() + at, std::move(fact));
  }
  return lines;
}

Haystack Builder::build() {
  pair_tokens_ = count({request_.fact, request_.fact});
  const int64_t fact_tokens = std::max<int64_t>(1, pair_tokens_ - count({request_.fact}));
  const int64_t fixed = pair_tokens_ - fact_tokens;
  int64_t other_tokens = 0;
  for (const std::string& fact : request_.other_facts) other_tokens += cost(fact);
  const int64_t room = request_.tokens - fixed;  // of filler and other facts
  if (room < other_tokens) {
    // Other cases of this length have other names and frames: some room for longer ones.
    const int64_t minimum = (fixed + other_tokens + 31) / 16 * 16;
    throw Error(ErrorCode::kProfile,
                "suite `needle`: `lengths`: a prompt of " + std::to_string(request_.tokens) +
                    " tokens has no room for frame, facts and question (" +
                    std::to_string(fixed + other_tokens) + ")",
                "Use " + std::to_string(minimum) + " or more, or fewer `facts`.");
  }

  LineFiller filler = measure_filler(room);
  const int64_t before = std::llround(request_.depth * static_cast<double>(room));
  place_other_facts(before);
  // When all facts must stand on one side of a tight prompt, the asked one gives way.
  const int64_t filler_total = room - other_tokens;
  const auto sides_for = [&](int64_t total) {
    const int64_t wanted = std::clamp<int64_t>(before - before_facts_tokens_, 0, total);
    int64_t best = filler.nearest_reachable(wanted);
    for (int64_t distance = 0; distance <= total; ++distance) {
      for (int64_t first : {wanted - distance, wanted + distance}) {
        if (filler.reachable(first) && filler.reachable(total - first)) {
          return std::pair(first, total - first);
        }
      }
    }
    best = std::min(best, total);
    return std::pair(filler.nearest_reachable(best), filler.nearest_reachable(total - best));
  };

  Haystack best;
  int64_t best_error = -1;
  int64_t correction = 0;
  for (int attempt = 0; attempt <= kMaxCorrections && best_error != 0; ++attempt) {
    const auto [first, second] = sides_for(std::max<int64_t>(0, filler_total + correction));
    // The same order of lines each time, so that only the end differs; another order once that has
    // not helped.
    LineFiller source = filler;
    source.skip(attempt < 4 ? 0 : attempt);
    std::vector<std::string> lines = side(source.take(first), before_facts_, 4);
    lines.push_back(request_.fact);
    for (std::string& line : side(source.take(second), after_facts_, 5)) {
      lines.push_back(std::move(line));
    }
    Haystack made;
    made.conversation = conversation(lines);
    made.tokens = counter_.count(made.conversation);
    const int64_t text = first + second + other_tokens;
    made.fact_depth =
        text == 0 ? request_.depth
                  : static_cast<double>(first + before_facts_tokens_) / static_cast<double>(text);
    const int64_t error = made.tokens - request_.tokens;
    if (best_error < 0 || std::abs(error) < best_error) {
      best_error = std::abs(error);
      best = std::move(made);
    }
    correction -= error;
  }
  if (counter_.exact && best_error != 0) {
    throw Error(ErrorCode::kProfile,
                "suite `needle`: `lengths`: no text of exactly " + std::to_string(request_.tokens) +
                    " tokens was found",
                "Use " + std::to_string(best.tokens) + ".");
  }
  return best;
}

}  // namespace

Haystack build_haystack(const HaystackRequest& request, const TokenCounter& counter) {
  const auto sample = [&](int64_t tokens, const TokenCounter& estimate) {
    Builder builder(request, estimate);
    if (request.tokens <= kWholeSample) return builder.build().conversation;
    return builder.lines_once(tokens == 0 ? 0 : kEstimatedPool);
  };
  const TokenCounter right = calibrated(counter, request.tokens, kWholeSample, sample);
  return Builder(request, right).build();
}

}  // namespace ds4::suites

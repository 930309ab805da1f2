#include "suites/needle/repeated.h"

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"
#include "suites/common/calibration.h"
#include "suites/common/conversation.h"
#include "suites/common/most_units.h"

namespace ds4::suites {
namespace {

constexpr double kTokensPerCharacter = 0.25;  // a first guess
constexpr int64_t kSample = 8192;    // tokens at least that tell what the lines of a long text are
constexpr int64_t kSampleShare = 8;  // and of a very long one, one part
constexpr int64_t kNeighbours = 12;  // characters around that are tried for an exact count

class Builder {
 public:
  Builder(const RepeatedRequest& request, const TokenCounter& counter)
      : request_(request), counter_(counter) {}

  Haystack build() {
    const int64_t fixed = count(0);
    if (fixed > request_.tokens) {
      throw Error(ErrorCode::kProfile,
                  "suite `needle`: `lengths`: a prompt of " + std::to_string(request_.tokens) +
                      " tokens has no room for frame, facts and question (" +
                      std::to_string(fixed) + ")",
                  "Use " + std::to_string((fixed + 31) / 16 * 16) + " or more.");
    }
    Units best = most_units(request_.tokens, {0, fixed}, kTokensPerCharacter,
                            [&](int64_t characters) { return count(characters); });
    if (counter_.exact && best.tokens != request_.tokens) search_near(best);
    if (counter_.exact && best.tokens != request_.tokens) {
      throw Error(ErrorCode::kProfile,
                  "suite `needle`: `lengths`: no text of exactly " +
                      std::to_string(request_.tokens) + " tokens was found",
                  "Use " + std::to_string(best.tokens) + ".");
    }
    Haystack out;
    out.conversation = conversation(best.units);
    out.tokens = best.tokens;
    out.fact_depth = best.units == 0 ? 0
                                     : static_cast<double>(place_of_fact(best.units)) /
                                           static_cast<double>(best.units);
    return out;
  }

  // With so many characters of the text.
  Conversation conversation(int64_t characters) {
    grow(characters);
    const auto at = static_cast<size_t>(place_of_fact(characters));
    std::string text = request_.opening + text_.substr(0, at);
    if (at > 0 && !text.ends_with('\n')) text += "\n";
    text += request_.fact + "\n";
    text += text_.substr(at, static_cast<size_t>(characters) - at);
    while (text.ends_with('\n')) text.pop_back();
    return ask(text + mark_ + request_.closing, request_.thinking);
  }

 private:
  // A word that is complete may be fewer tokens than its beginning, and one more letter two more:
  // a number of tokens may occur at several places around, or only with a mark behind.
  void search_near(Units& best) {
    const int64_t around = best.units;
    for (const char* mark : {"", ".", " ."}) {
      mark_ = mark;
      for (int64_t d = 0; d <= kNeighbours; ++d) {
        for (const int64_t at : {around + d, around - d}) {
          if (at < 0 || count(at) != request_.tokens) continue;
          best = {at, request_.tokens};
          return;
        }
      }
    }
    mark_ = "";
  }

  void grow(int64_t characters) {
    while (std::ssize(text_) < characters) text_ += request_.line(++n_lines_) + "\n";
  }

  int64_t place_of_fact(int64_t characters) const {
    const auto wanted = static_cast<int64_t>(request_.depth * static_cast<double>(characters));
    if (request_.splits_lines || wanted == 0) return wanted;
    const size_t end = text_.rfind('\n', static_cast<size_t>(wanted) - 1);
    return end == text_.npos ? 0 : static_cast<int64_t>(end) + 1;
  }

  int64_t count(int64_t characters) { return counter_.count(conversation(characters)); }

  const RepeatedRequest& request_;
  const TokenCounter& counter_;
  std::string text_;
  std::string mark_;  // behind the text
  int64_t n_lines_ = 0;
};

}  // namespace

Haystack build_repeated(const RepeatedRequest& request, const TokenCounter& counter) {
  const auto sample = [&](int64_t tokens, const TokenCounter& estimate) {
    RepeatedRequest part = request;
    part.tokens = tokens;
    Builder builder(part, estimate);
    return tokens == 0 ? builder.conversation(0) : builder.build().conversation;
  };
  const TokenCounter right =
      calibrated(counter, request.tokens, std::max(kSample, request.tokens / kSampleShare), sample);
  return Builder(request, right).build();
}

}  // namespace ds4::suites

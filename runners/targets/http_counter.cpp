#include "runners/targets/http_counter.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "engine/base/clock.h"

namespace ds4::runners {
namespace {

constexpr size_t kKnown = 256;
constexpr const char* kFirstLine = "Only the length of this text is of interest.\n";

size_t hash_of(const Request& request) {
  const std::hash<std::string> hash;
  if (request.raw) return hash(request.raw->text);
  size_t sum = 0;
  for (const Message& message : request.conversation.messages) {
    sum = sum * 31 + hash(message.content);
  }
  return sum;
}

// Tokenizers behind an address of their own may know no tools, formats and levels of effort.
bool counts_all(const Request& request) {
  return request.conversation.reasoning_effort.empty() &&
         std::all_of(request.conversation.messages.begin(), request.conversation.messages.end(),
                     [](const Message& message) {
                       return message.tools.empty() && message.response_format.empty();
                     });
}

}  // namespace

HttpCounter::HttpCounter(http::Client& client, const profiles::ServerAddress& address,
                         const ServerFindings& findings, const std::filesystem::path& checkpoint)
    : client_(client),
      address_(address),
      habits_(findings.habits),
      form_(findings.tokenize),
      exact_(form_ != TokenizeForm::kNone),
      source_("an estimate: a token is about four bytes") {
  if (findings.counted.size() == 2) {
    small_ = findings.counted[0];
    const CountedPrompt& small = findings.counted[0];
    const CountedPrompt& large = findings.counted[1];
    const int64_t bytes = prompt_bytes(small.request);
    per_byte_ = static_cast<double>(large.tokens - small.tokens) /
                static_cast<double>(prompt_bytes(large.request) - bytes);
    fixed_ = static_cast<double>(small.tokens) - per_byte_ * static_cast<double>(bytes);
    source_ = "an estimate from two prompts that it counted";
  }
  if (exact_) {
    source_ = "the server's tokenizer";
  } else if (!checkpoint.empty()) {
    tokenizer_ = Tokenizer::load(checkpoint);
    release_ = release_of_checkpoint(checkpoint).value_or(Release::kApril);
    exact_ = !findings.counted.empty();
    for (const CountedPrompt& counted : findings.counted) {
      exact_ = exact_ && local(counted.request) == counted.tokens;
    }
    source_ = exact_ ? "the checkpoint's tokenizer, whose counts are the server's"
                     : source_ + "; the checkpoint's tokenizer counts otherwise";
    if (!exact_) tokenizer_ = nullptr;
  }
}

int64_t HttpCounter::count(const Request& request) {
  const int64_t tokens = counted(request);
  known_.emplace_back(hash_of(request), tokens);
  if (known_.size() > kKnown) known_.pop_front();
  return tokens;
}

int64_t HttpCounter::measure(Request request) {
  if (!small_ || request.raw || request.conversation.messages.empty()) return -1;
  const auto with_first_line = [](Request one) {
    std::string& text = one.conversation.messages.front().content;
    text.insert(0, kFirstLine);
    return one;
  };
  if (first_line_ < 0) {
    const int64_t tokens = stated(with_first_line(small_->request));
    if (tokens <= small_->tokens) return -1;
    first_line_ = tokens - small_->tokens;
  }
  const int64_t tokens = stated(with_first_line(std::move(request)));
  return tokens > first_line_ ? tokens - first_line_ : -1;
}

int64_t HttpCounter::stated(const Request& request) {
  openai::Body body = body_of(request, habits_);
  body.max_tokens = 1;
  const double begin = monotonic_seconds();
  const Exchange exchange = ask(client_, address_, body);
  ++cost_.requests;
  cost_.seconds += monotonic_seconds() - begin;
  if (judge(exchange, habits_).failure != Failure::kNone || !exchange.answer.usage) return -1;
  const int64_t tokens = exchange.answer.usage->prompt_tokens;
  cost_.tokens += std::max<int64_t>(0, tokens);
  return tokens;
}

ExpectedPrompt HttpCounter::expect(const Request& request) const {
  const auto same =
      std::find_if(known_.rbegin(), known_.rend(),
                   [hash = hash_of(request)](const auto& known) { return known.first == hash; });
  if (same == known_.rend()) return {estimate(request), false};
  return {same->second, exact_ && counts_all(request)};
}

int64_t HttpCounter::counted(const Request& request) {
  if (tokenizer_) return local(request);
  if (exact_ && !request.raw) {
    const int64_t tokens = ask_tokenizer(client_, address_, form_, body_of(request, habits_));
    if (tokens >= 0) return tokens;
  }
  return estimate(request);
}

int64_t HttpCounter::local(const Request& request) const {
  if (!request.raw) {
    return std::ssize(
        tokenizer_->encode(render_prompt(request.conversation, release_), AddedTokens::kParse));
  }
  if (!request.raw->tokens.empty()) return std::ssize(request.raw->tokens);
  return std::ssize(tokenizer_->encode(request.raw->text, AddedTokens::kParse));
}

int64_t HttpCounter::estimate(const Request& request) const {
  if (request.raw && !request.raw->tokens.empty()) return std::ssize(request.raw->tokens);
  const double tokens = fixed_ + per_byte_ * static_cast<double>(prompt_bytes(request));
  return std::max<int64_t>(1, std::llround(tokens));
}

}  // namespace ds4::runners

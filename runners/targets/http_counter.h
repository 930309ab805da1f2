// How many tokens a conversation will be at a server: by the server's own tokenizer, by that of a
// checkpoint at hand, or estimated from what it stated for two texts; and what it states for a
// conversation, by a request for an answer of one token.
#pragma once

#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "engine/api/text.h"
#include "runners/targets/http_probe.h"

namespace ds4::runners {

class HttpCounter {
 public:
  /// Borrows all but the findings. `checkpoint`: a folder with the tokenizer that the server is
  /// believed to have, or empty; it is believed only where its counts are those the server stated.
  HttpCounter(http::Client& client, const profiles::ServerAddress& address,
              const ServerFindings& findings, const std::filesystem::path& checkpoint);

  /// For sizing a prompt; may ask the server.
  int64_t count(const Request& request);
  /// What the server states for the conversation, less a first line that is put in front so that no
  /// cache has its beginning afterwards. Costs a prefill; -1 when it states nothing.
  int64_t measure(Request request);
  struct Cost {
    int64_t requests = 0, tokens = 0;
    double seconds = 0;
  };
  /// Of all measure() since it was last asked.
  Cost take_cost() { return std::exchange(cost_, {}); }
  /// For judging what the server states later: what was counted for the same prompt before, else
  /// an estimate. Asks nobody, since requests wait for it.
  ExpectedPrompt expect(const Request& request) const;
  /// Whether counts are those of the server's tokenizer.
  bool exact() const { return exact_; }
  const std::string& source() const { return source_; }

 private:
  int64_t local(const Request& request) const;
  int64_t estimate(const Request& request) const;
  int64_t counted(const Request& request);
  int64_t stated(const Request& request);

  http::Client& client_;
  const profiles::ServerAddress& address_;
  const ServerHabits habits_;
  const TokenizeForm form_;
  std::shared_ptr<const Tokenizer> tokenizer_;  // null = none at hand, or another one
  Release release_ = Release::kApril;
  std::optional<CountedPrompt> small_;  // a prompt that the server counted; none = it states none
  int64_t first_line_ = -1;             // tokens of measure()'s first line; -1 = not known yet
  Cost cost_;
  double per_byte_ = 0.25, fixed_ = 0;
  bool exact_ = false;
  std::string source_;
  std::deque<std::pair<size_t, int64_t>> known_;  // hash of a prompt and its tokens, the last few
};

}  // namespace ds4::runners

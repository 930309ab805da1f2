// How many tokens a conversation will be at a server: by the server's own tokenizer, by that of a
// checkpoint at hand, or estimated from what it stated for two texts.
#pragma once

#include <deque>
#include <filesystem>
#include <memory>
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

  http::Client& client_;
  const profiles::ServerAddress& address_;
  const ServerHabits habits_;
  const TokenizeForm form_;
  std::shared_ptr<const Tokenizer> tokenizer_;  // null = none at hand, or another one
  Release release_ = Release::kApril;
  double per_byte_ = 0.25, fixed_ = 0;
  bool exact_ = false;
  std::string source_;
  std::deque<std::pair<size_t, int64_t>> known_;  // hash of a prompt and its tokens, the last few
};

}  // namespace ds4::runners

// The answer of a server as it grows, handed from the thread that reads it to the one that tells
// the work.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>

#include "engine/api/text.h"
#include "runners/openai/stream.h"
#include "runners/targets/target.h"

namespace ds4::runners {

class LiveText {
 public:
  /// `parse`: reasoning and calls stand in the text as the model wrote them; else reasoning comes
  /// in a field of its own, or not at all.
  LiveText(bool parse, ThinkingMode thinking);

  // On the reading thread.
  /// Takes what is new in an answer that has grown.
  void grow(const openai::Answer& answer);
  /// At the end: what was held back as the possible beginning of a marker.
  void finish();
  /// A whole answer, of which nothing was taken before.
  void add(const Response& response);

  // On any thread.
  int64_t arrivals() const;
  /// What has come since the last call.
  Pieces take();

 private:
  mutable std::mutex mutex_;
  std::optional<StreamParser> parser_;
  size_t reasoning_seen_ = 0, content_seen_ = 0, logprobs_seen_ = 0;
  int64_t arrivals_ = 0;
  Pieces waiting_;
};

}  // namespace ds4::runners

// Several sessions in one pass: Engine::append. The rows of all lie end to end; each result depends
// on its own sequence only.
#include <algorithm>
#include <string>

#include "engine/base/check.h"
#include "engine/base/error.h"
#include "engine/session/engine.h"

namespace ds4::session {
namespace {

[[noreturn]] void refuse(const std::string& what, const std::string& hint) {
  throw Error(ErrorCode::kUsage, what, hint);
}

}  // namespace

void LoadedEngine::append(std::span<const Addition> additions) {
  std::vector<TimelineSession*> sessions;
  int64_t rows = 0;
  for (const auto& [session, tokens] : additions) {
    auto* timeline = dynamic_cast<TimelineSession*>(session);
    DS4_CHECK(timeline && &timeline->engine() == this, "a session of another engine");
    DS4_CHECK(std::find(sessions.begin(), sessions.end(), timeline) == sessions.end(),
              "the same session twice");
    const auto n = static_cast<int64_t>(tokens.size());
    if (n < 1 || n > settings_.prefill_chunk) {
      refuse(std::to_string(n) + " tokens for one session; 1 to " +
                 std::to_string(settings_.prefill_chunk) + " can be appended at once",
             "Split longer prompts into chunks.");
    }
    timeline->check(tokens, timeline->length() + n);
    sessions.push_back(timeline);
    rows += n;
  }
  if (rows > max_rows()) {
    refuse(std::to_string(rows) + " tokens over all sessions; " + std::to_string(max_rows()) +
               " can be computed at once",
           "Leave some sessions for the next call.");
  }
  if (sessions.empty()) return;

  std::vector<model::SequenceRows> batch;
  for (size_t i = 0; i < sessions.size(); ++i) {
    batch.push_back(sessions[i]->begin(additions[i].tokens));
  }
  forward_->run(batch);
  // The last row of each session has the logits. Neighbouring ones go through the head together,
  // because the head's weights are large.
  int row = -1;
  const auto vocab = static_cast<size_t>(info_.vocab_size);
  for (size_t begin = 0; begin < sessions.size();) {
    row += static_cast<int>(batch[begin].tokens.size());
    size_t end = begin + 1;
    while (end < sessions.size() && batch[end].tokens.size() == 1 &&
           end - begin < model::Workspace::kLogitRows) {
      ++end;
    }
    const auto count = static_cast<int>(end - begin);
    const std::span<const float> logits = forward_->logits(row, count);
    for (size_t i = begin; i < end; ++i) {
      sessions[i]->commit(additions[i].tokens, logits.subspan((i - begin) * vocab, vocab));
    }
    row += count - 1;
    begin = end;
  }
}

}  // namespace ds4::session

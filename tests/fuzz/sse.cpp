// Whatever a server sends: read without a throw, the same however the bytes are cut, and counted
// without contradicting itself.
#include <limits>

#include "engine/base/utf8.h"
#include "runners/openai/counts.h"
#include "runners/openai/piece.h"
#include "runners/openai/stream.h"
#include "tests/fuzz/fuzz.h"

using namespace ds4;
using runners::openai::Answer;
using runners::openai::AnswerReader;

namespace {

Answer read(std::string_view bytes, size_t step, bool streamed) {
  AnswerReader reader(streamed);
  double time = 0;
  while (!bytes.empty() && reader.feed(bytes.substr(0, step), time)) {
    bytes.remove_prefix(std::min(step, bytes.size()));
    time += 1;
  }
  reader.finish(time);
  return reader.take();
}

void check_counts(const Answer& answer) {
  const auto timeline = runners::openai::timeline_of(answer);
  int64_t sum = 0;
  double last = -std::numeric_limits<double>::infinity();
  for (const auto& tokens : timeline.tokens) {
    fuzz::require(tokens.n >= 1, "no token count is empty");
    fuzz::require(tokens.time_s >= last, "tokens come in order");
    last = tokens.time_s;
    sum += tokens.n;
  }
  fuzz::require(sum == timeline.total, "the total is the sum");
  runners::openai::doubt_of(answer, {100, 1000, 300, true});
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const size_t step = 1 + data[0] % 32;
  const std::string_view bytes = fuzz::as_text(data + 1, size - 1);
  const Answer whole = read(bytes, size, true), cut = read(bytes, step, true);
  fuzz::require(whole.content == cut.content, "the content does not depend on cuts");
  fuzz::require(whole.reasoning == cut.reasoning, "the reasoning does not depend on cuts");
  fuzz::require(whole.tool_calls == cut.tool_calls, "the calls do not depend on cuts");
  fuzz::require(whole.finish_reason == cut.finish_reason, "the end does not depend on cuts");
  fuzz::require(whole.usage == cut.usage, "the counts do not depend on cuts");
  fuzz::require(
      whole.end_mark == cut.end_mark && whole.problem == cut.problem && whole.error == cut.error,
      "what is wrong does not depend on cuts");
  fuzz::require(sanitize_utf8(whole.content) == whole.content &&
                    sanitize_utf8(whole.reasoning) == whole.reasoning,
                "texts are UTF-8 whatever was cut");
  check_counts(whole);
  check_counts(cut);
  check_counts(read(bytes, step, false));
  runners::openai::read_models(bytes);
  runners::openai::read_error(bytes);
  return 0;
}

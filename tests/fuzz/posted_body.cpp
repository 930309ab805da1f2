// Bodies that strangers post to `serve`: read or refused, never anything else; and what was read is
// read the same when it is written again.
#include "runners/openai/body.h"
#include "runners/openai/request.h"
#include "tests/fuzz/fuzz.h"

using namespace ds4;
using namespace ds4::runners::openai;

namespace {

void check(const ReadBody& read) {
  if (!read.refusal) return;
  fuzz::require(!read.refusal->message.empty() && read.refusal->status == 400,
                "a refusal has its reason");
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = fuzz::as_text(data, size);
  check(read_tokenize(text, {}));
  check(read_detokenize(text));
  for (const bool chat : {true, false}) {
    const ReadBody first = chat ? read_chat(text, {}) : read_completion(text);
    check(first);
    if (first.refusal) continue;
    fuzz::require(chat ? !first.body.conversation.messages.empty() : first.body.prompt.has_value(),
                  "there is something to answer");
    Body body = first.body;
    // A message that only brings the tools is not written as one.
    if (chat && body.conversation.messages.size() == 1) continue;
    body.thinking = ThinkingSwitch::kTemplateThinking;  // one that tells both ways
    const std::string written = write_body(body);
    const ReadBody again = chat ? read_chat(written, {}) : read_completion(written);
    fuzz::require(!again.refusal, "what was read can be written");
    fuzz::require(again.body.sampling == first.body.sampling &&
                      again.body.max_tokens == first.body.max_tokens &&
                      again.body.conversation.thinking == first.body.conversation.thinking,
                  "and read again");
  }
  return 0;
}

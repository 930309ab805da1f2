// StreamDecoder of engine/api/text.h: holds back at most the three bytes of an unfinished code
// point.
#include "engine/api/text.h"
#include "engine/base/utf8.h"

namespace ds4 {

std::string StreamDecoder::push(TokenId id) {
  pending_ += tokenizer_->token_bytes(id);
  // What is incomplete now is the tail of the text, so it lies within the last three bytes.
  size_t done = 0;
  std::string out;
  while (done < pending_.size()) {
    const std::string_view rest = std::string_view(pending_).substr(done);
    const size_t valid = valid_utf8_prefix(rest);
    out.append(rest.substr(0, valid));
    done += valid;
    if (valid == rest.size()) break;
    const Utf8Step step = next_utf8(rest.substr(valid));
    if (step.kind == Utf8Kind::kIncomplete) break;
    out.append(kReplacement);
    done += step.length;
  }
  pending_.erase(0, done);
  return out;
}

std::string StreamDecoder::finish() {
  const std::string out = sanitize_utf8(pending_);
  pending_.clear();
  return out;
}

}  // namespace ds4

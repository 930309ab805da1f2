// Text of any bytes through the default checkpoint's tokenizer: whole and streamed, with and
// without added tokens.
#include "engine/api/text.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/source_dir.h"

using namespace ds4;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto tokenizer = Tokenizer::load(test_support::source_dir() / "checkpoints/tiny");
  const std::string text(fuzz::as_text(data, size));
  for (const AddedTokens added : {AddedTokens::kParse, AddedTokens::kPlain}) {
    const auto ids = tokenizer->encode(text, added);
    fuzz::require(tokenizer->decode(ids) == text, "decode(encode(text)) == text");
    std::string whole, streamed;
    StreamDecoder once(tokenizer), split(tokenizer);
    for (const TokenId id : ids) {
      fuzz::require(id >= 0 && id < tokenizer->vocab_size(), "ids lie in the vocabulary");
      streamed += split.push(id);
    }
    streamed += split.finish();
    // Streaming may only differ from the bytes where these are not UTF-8.
    if (streamed.find("\xef\xbf\xbd") == std::string::npos) {
      fuzz::require(streamed == text, "the streamed text is the text");
    }
  }
  return 0;
}

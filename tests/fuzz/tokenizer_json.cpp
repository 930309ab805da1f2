// tokenizer.json of any bytes: refused, or a tokenizer that gives back what it takes.
#include "engine/api/text.h"
#include "tests/fuzz/fuzz.h"

using namespace ds4;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const fuzz::Scratch scratch;
  const auto path = scratch.write("tokenizer.json", fuzz::as_text(data, size));
  fuzz::refuses([&] {
    const auto tokenizer = Tokenizer::load(path);
    const std::string text = "ab 12\n\n  the caf\xc3\xa9";
    const auto ids = tokenizer->encode(text, AddedTokens::kPlain);
    fuzz::require(tokenizer->decode(ids) == text, "decode(encode(text)) == text");
    for (const TokenId id : ids) {
      fuzz::require(id >= 0 && id < tokenizer->vocab_size(), "ids lie in the vocabulary");
    }
  });
  return 0;
}

// The tokenizer of checkpoints with generated weights: every byte a token, the model's markers at
// their ids.
#pragma once

#include <string>

namespace ds4::text {

/// A tokenizer.json: the 256 byte tokens at the ids 3 .. 258 that the model gives them, the markers
/// of model.md 6.1 at theirs (those whose id it does not state follow the last), and `<ID>` as the
/// text of every other id below 129280, so that any token drawn has a text. No merges.
std::string synthetic_tokenizer_json();

}  // namespace ds4::text

// Characters that a server cut in two: between pieces, or at the end of the answer. Servers that
// decode token by token send half of a character's bytes in one JSON text and half in the next,
// which by itself is no JSON; servers written in languages of UTF-16 send lone surrogates.
#pragma once

#include <string>
#include <string_view>

namespace ds4::runners::openai {

/// JSON text that a parser takes: bytes that are no UTF-8, and escapes of lone surrogates (as the
/// three bytes they have in the pattern of UTF-8), stand as characters of the last private-use
/// plane. "" when the text itself has such a character, so that bytes() could not tell.
std::string carry_bytes(std::string_view json);

/// Text out of such JSON, with the bytes again.
std::string carried_bytes(std::string_view text);

/// Puts cut characters together again.
class CutText {
 public:
  /// The characters that `bytes` complete; what may become one is kept. Always UTF-8: what can
  /// never become one is U+FFFD.
  std::string add(std::string_view bytes);
  /// What is left, at the end.
  std::string end();

 private:
  std::string settle(bool at_end);

  std::string kept_;
};

}  // namespace ds4::runners::openai

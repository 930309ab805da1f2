// The byte alphabet of byte-level BPE (model.md 6.1, step 5): each byte has a printable stand-in
// character, in which the tokens of tokenizer.json are written.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ds4::text {

/// The stand-in character of a byte, as UTF-8.
const std::string& byte_symbol(uint8_t byte);

/// The bytes that a token's stand-in characters mean, or nothing if one of them is no stand-in
/// (then the token is literal text, as special tokens are).
std::optional<std::string> bytes_of_symbols(std::string_view token);

}  // namespace ds4::text

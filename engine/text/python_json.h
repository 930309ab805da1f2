// JSON text as Python's json module would read and write it again (model.md 6.3, last sentence):
// prompts and tool arguments contain JSON in exactly that spelling.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ds4::text {

/// A member of a top-level object. `text` is the raw value of a string, else its JSON.
struct JsonMember {
  std::string key;
  bool is_string;
  std::string text;
};

/// A JSON document taken apart one level deep.
struct JsonDocument {
  enum class Kind { kObject, kString, kOther };
  Kind kind = Kind::kOther;
  std::vector<JsonMember> members;  // kObject only; in order, of equal keys the last value
  std::string text;                 // kString: the raw value; else the whole document as JSON
};

/// Nothing if `json` is not JSON (RFC 8259, UTF-8, at most 500 levels, finite numbers). Integers of
/// any size keep their digits; other numbers become the shortest text that reads back the same.
std::optional<JsonDocument> read_json(std::string_view json);

/// `text` as a JSON string: non-ASCII stays, invalid UTF-8 becomes U+FFFD.
std::string quote_json(std::string_view text);

/// A double as Python's repr() writes it: "1.0", "1e+16", "1.5e-05". `value` must be finite.
std::string python_repr(double value);

}  // namespace ds4::text

#include "profiles/exchange/json_text.h"

namespace ds4::profiles {

bool bounded_json(std::string_view text) {
  constexpr int kMaxDepth = 32;
  int depth = 0;
  bool inside = false;  // a string
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (inside) {
      if (c == '\\') ++i;
      inside = c != '"';
      continue;
    }
    if (c == '"') inside = true;
    if ((c == '{' || c == '[') && ++depth > kMaxDepth) return false;
    if (c == '}' || c == ']') --depth;
  }
  return true;
}

}  // namespace ds4::profiles

#include "runners/progress/columns.h"

#include <locale.h>
#include <wchar.h>

#include <algorithm>

namespace ds4::runners {
namespace {

// The characters of UTF-8 are asked for whatever locale the program runs in.
class Utf8Locale {
 public:
  Utf8Locale() {
    static const locale_t utf8 = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", locale_t{});
    if (utf8) previous_ = ::uselocale(utf8);
  }
  ~Utf8Locale() {
    if (previous_) ::uselocale(previous_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  locale_t previous_ = {};
};

struct Character {
  size_t bytes = 1;
  int columns = 1;
};

Character first_of(std::string_view text) {
  wchar_t wide = 0;
  mbstate_t state{};
  const size_t bytes = ::mbrtowc(&wide, text.data(), text.size(), &state);
  if (bytes == 0 || bytes > text.size()) return {};  // a NUL, or no UTF-8: a column each byte
  return {bytes, std::max(0, ::wcwidth(wide))};
}

// How many bytes fit into so many columns.
size_t bytes_within(std::string_view text, int columns) {
  const Utf8Locale locale;
  size_t bytes = 0;
  while (bytes < text.size()) {
    const Character next = first_of(text.substr(bytes));
    if (next.columns > columns) break;
    columns -= next.columns;
    bytes += next.bytes;
  }
  return bytes;
}

}  // namespace

int text_columns(std::string_view text) {
  const Utf8Locale locale;
  int columns = 0;
  for (size_t i = 0; i < text.size();) {
    const Character next = first_of(text.substr(i));
    columns += next.columns;
    i += next.bytes;
  }
  return columns;
}

std::string cut_to_columns(std::string_view text, int columns) {
  if (bytes_within(text, columns) == text.size()) return std::string(text);
  return std::string(text.substr(0, bytes_within(text, columns - 1))) + "…";
}

std::string cut_in_middle(std::string_view text, int columns) {
  const Utf8Locale locale;
  if (text_columns(text) <= columns) return std::string(text);
  const int before = columns / 2, behind = columns - 1 - before;
  const size_t head = bytes_within(text, before);
  size_t tail = head;
  while (tail < text.size() &&
         (text_columns(text.substr(tail)) > behind || first_of(text.substr(tail)).columns == 0)) {
    tail += first_of(text.substr(tail)).bytes;
  }
  return std::string(text.substr(0, head)) + "…" + std::string(text.substr(tail));
}

}  // namespace ds4::runners

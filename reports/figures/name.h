// A name of which there are few and that many rows bear (a metric, a cell): its text is kept once
// in the program. A million samples with texts of their own would take hundreds of megabytes.
#pragma once

#include <string>
#include <string_view>

namespace ds4::reports {

/// As small as a pointer, copied as cheaply. Texts are never given back, so it is not for what is
/// different in every row. Thread-safe.
class Name {
 public:
  Name(const std::string& text) : text_(kept(text)) {}
  Name(const char* text) : text_(kept(text)) {}
  operator const std::string&() const { return *text_; }
  operator std::string_view() const { return *text_; }
  friend bool operator==(const Name& name, std::string_view text) { return *name.text_ == text; }

 private:
  static const std::string* kept(const std::string& text);

  const std::string* text_;
};

}  // namespace ds4::reports

// A name of which there are few and that many rows bear (a metric, a cell, a suite): its text is
// kept once in the program. A million samples with texts of their own would take hundreds of
// megabytes.
#pragma once

#include <compare>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>

namespace ds4 {

/// As small as a pointer, copied and told apart as cheaply. Texts are never given back, so it is
/// not for what is different in every row. Thread-safe.
class Name {
 public:
  Name() : text_(kept({})) {}
  Name(std::string_view text) : text_(kept(text)) {}
  Name(const std::string& text) : text_(kept(text)) {}
  Name(const char* text) : text_(kept(text)) {}
  operator const std::string&() const { return *text_; }
  operator std::string_view() const { return *text_; }
  const std::string& text() const { return *text_; }
  bool empty() const { return text_->empty(); }

  friend bool operator==(Name a, Name b) { return a.text_ == b.text_; }
  friend bool operator==(Name name, std::string_view text) { return *name.text_ == text; }
  friend bool operator==(Name name, const std::string& text) { return *name.text_ == text; }
  friend bool operator==(Name name, const char* text) { return *name.text_ == text; }
  friend std::strong_ordering operator<=>(Name a, Name b) { return *a.text_ <=> *b.text_; }
  friend std::string operator+(Name a, Name b) { return a.text() + b.text(); }
  friend std::string operator+(Name a, const std::string& b) { return a.text() + b; }
  friend std::string operator+(const std::string& a, Name b) { return a + b.text(); }
  friend std::string operator+(Name a, const char* b) { return a.text() + b; }
  friend std::string operator+(const char* a, Name b) { return a + b.text(); }
  friend std::ostream& operator<<(std::ostream& out, Name name) { return out << name.text(); }

 private:
  friend struct std::hash<Name>;
  static const std::string* kept(std::string_view text);

  const std::string* text_;
};

}  // namespace ds4

template <>
struct std::hash<ds4::Name> {
  size_t operator()(ds4::Name name) const { return std::hash<const void*>()(name.text_); }
};

// A terminal of a test: what stands on its screen after the bytes a program wrote. Knows the few
// escapes ds4-sweep writes, and fails on any other.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ds4::test_support {

class Terminal {
 public:
  Terminal(int columns, int rows) : columns_(columns), rows_(rows), lines_(1) {}

  /// Throws std::runtime_error on an escape it does not know, which an honest program never writes.
  void feed(std::string_view bytes);
  /// Every line from the first that was ever written, without the spaces at their ends; UTF-8.
  std::vector<std::string> lines() const;
  /// The line of lines() that the cursor is in, and its column.
  size_t cursor_line() const { return line_; }
  size_t cursor_column() const { return column_; }
  bool wraps() const { return wraps_; }

 private:
  void put(std::string character);
  void escape(std::string_view parameters, char final);
  size_t top() const;  // the first line of the screen

  size_t columns_, rows_;
  std::vector<std::vector<std::string>> lines_;  // of characters
  size_t line_ = 0, column_ = 0;
  bool wraps_ = true;
  std::string pending_;  // an unfinished escape or character
};

}  // namespace ds4::test_support

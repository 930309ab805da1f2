#include "tests/support/terminal.h"

#include <stdexcept>

namespace ds4::test_support {

size_t Terminal::top() const {
  return lines_.size() > rows_ ? lines_.size() - rows_ : 0;
}

void Terminal::put(std::string character) {
  if (column_ == columns_) {
    if (wraps_) {
      column_ = 0;
      if (++line_ == lines_.size()) lines_.emplace_back();
    } else {
      column_ = columns_ - 1;
    }
  }
  std::vector<std::string>& line = lines_[line_];
  if (line.size() <= column_) line.resize(column_ + 1, " ");
  line[column_++] = std::move(character);
}

void Terminal::escape(std::string_view parameters, char final) {
  const auto number = [&] { return parameters.empty() ? 1 : std::stoul(std::string(parameters)); };
  if (final == 'A') {
    const size_t up = number();
    line_ = line_ > top() + up ? line_ - up : top();
  } else if (final == 'K' && parameters.empty()) {
    if (lines_[line_].size() > column_) lines_[line_].resize(column_);
  } else if (final == 'J' && parameters.empty()) {
    if (lines_[line_].size() > column_) lines_[line_].resize(column_);
    for (size_t i = line_ + 1; i < lines_.size(); ++i) lines_[i].clear();
  } else if (parameters == "?7" && (final == 'l' || final == 'h')) {
    wraps_ = final == 'h';
  } else if (final != 'm') {
    throw std::runtime_error("escape " + std::string(parameters) + final);
  }
}

void Terminal::feed(std::string_view bytes) {
  pending_ += bytes;
  size_t i = 0;
  while (i < pending_.size()) {
    const auto byte = static_cast<unsigned char>(pending_[i]);
    if (byte == '\r') {
      column_ = 0;
    } else if (byte == '\n') {
      if (++line_ == lines_.size()) lines_.emplace_back();
    } else if (byte == 0x1b) {
      const size_t final =
          pending_.find_first_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", i + 1);
      if (final == std::string::npos) break;
      if (pending_[i + 1] != '[') throw std::runtime_error("an escape that is no CSI");
      escape(std::string_view(pending_).substr(i + 2, final - i - 2), pending_[final]);
      i = final;
    } else if (byte < 0x20 || byte == 0x7f) {
      throw std::runtime_error("control character " + std::to_string(byte));
    } else {
      const size_t length = byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
      if (i + length > pending_.size()) break;
      put(pending_.substr(i, length));
      i += length - 1;
    }
    ++i;
  }
  pending_.erase(0, i);
}

std::vector<std::string> Terminal::lines() const {
  std::vector<std::string> out;
  for (const auto& line : lines_) {
    std::string text;
    for (const std::string& character : line) text += character;
    while (text.ends_with(' ')) text.pop_back();
    out.push_back(std::move(text));
  }
  return out;
}

}  // namespace ds4::test_support

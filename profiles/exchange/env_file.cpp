#include "profiles/exchange/env_file.h"

#include <algorithm>

#include "engine/base/error.h"

namespace ds4::profiles {
namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t';
}

bool is_name(std::string_view text) {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
  return std::all_of(text.begin(), text.end(), [](const char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && (is_space(text.back()) || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

// The default of "${KEY:-default}" when it is plain text.
bool default_of(std::string_view key, std::string_view text, std::string& value) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    text = text.substr(1, text.size() - 2);
  }
  const std::string begin = "${" + std::string(key) + ":-";
  if (!text.starts_with(begin) || !text.ends_with("}")) return false;
  const std::string_view inner = text.substr(begin.size(), text.size() - begin.size() - 1);
  if (inner.find_first_of("$`\"'\\{}") != std::string_view::npos) return false;
  value = inner;
  return true;
}

// Reads one word as a shell does, up to a blank. Sets `computed` when a shell would do more.
class Word {
 public:
  Word(std::string_view text, std::string_view origin, int line)
      : text_(text), origin_(origin), line_(line) {}

  std::string value;
  bool computed = false;
  size_t end = 0;  // of the word

  void read() {
    while (end < text_.size() && !is_space(text_[end])) {
      const char c = text_[end++];
      if (c == '\'') {
        single();
      } else if (c == '"') {
        doubled();
      } else if (c == '\\') {
        if (end < text_.size()) value += text_[end++];
      } else {
        computed |= std::string_view("$`;&|<>()*?[]~!").find(c) != std::string_view::npos;
        value += c;
      }
    }
  }

 private:
  void single() {
    const size_t close = text_.find('\'', end);
    if (close == std::string_view::npos) unclosed('\'');
    value += text_.substr(end, close - end);
    end = close + 1;
  }

  void doubled() {
    for (; end < text_.size() && text_[end] != '"'; ++end) {
      char c = text_[end];
      computed |= c == '$' || c == '`';
      const bool escape = c == '\\' && end + 1 < text_.size() &&
                          std::string_view("\"\\$`").find(text_[end + 1]) != std::string_view::npos;
      if (escape) c = text_[++end];
      value += c;
    }
    if (end == text_.size()) unclosed('"');
    ++end;
  }

  [[noreturn]] void unclosed(char quote) const {
    throw Error(ErrorCode::kProfile,
                std::string(origin_) + ":" + std::to_string(line_) + ": a value opens " + quote +
                    " and does not close it",
                "Close it on the same line; a value of several lines has no counterpart.");
  }

  std::string_view text_, origin_;
  int line_;
};

}  // namespace

EnvFile parse_env(std::string_view text, std::string_view origin) {
  EnvFile file;
  int number = 0;
  while (!text.empty()) {
    ++number;
    const size_t end = text.find('\n');
    std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.find('\0') != std::string_view::npos) {
      throw Error(ErrorCode::kProfile,
                  std::string(origin) + ":" + std::to_string(number) + ": a NUL byte",
                  "This is no text file.");
    }
    if (line.empty() || line.front() == '#') continue;
    const std::string_view whole = line;
    if (line.starts_with("export ")) line = trimmed(line.substr(7));
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos || !is_name(line.substr(0, equals))) {
      file.others.emplace_back(number, whole);
      continue;
    }
    EnvEntry entry{number, std::string(line.substr(0, equals)), "", ""};
    const std::string_view right = line.substr(equals + 1);
    if (!default_of(entry.key, right, entry.value)) {
      Word word(right, origin, number);
      word.read();
      const std::string_view rest = trimmed(right.substr(word.end));
      entry.value = word.value;
      if (word.computed) {
        entry.value = right;
        entry.problem = "a shell would compute it, and nothing is run here";
      } else if (!rest.empty() && rest.front() != '#') {
        entry.value = right;
        entry.problem = "a command follows the value, and nothing is run here";
      }
    }
    file.entries.push_back(std::move(entry));
  }
  return file;
}

}  // namespace ds4::profiles

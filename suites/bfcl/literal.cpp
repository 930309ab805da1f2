#include "suites/bfcl/literal.h"

#include <cctype>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "suites/common/answers.h"

namespace ds4::suites::bfcl {
namespace {

using Json = nlohmann::json;

constexpr int kDeepest = 32;

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '$';
}

// A recursive reader; every function leaves `at` behind what it took, or says nothing.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  std::optional<Json> whole() {
    auto value = read(0);
    skip_blanks();
    return at_ == text_.size() ? value : std::nullopt;
  }

 private:
  std::optional<Json> read(int depth) {
    skip_blanks();
    if (depth > kDeepest || at_ == text_.size()) return std::nullopt;
    const char c = text_[at_];
    if (c == '"' || c == '\'') return quoted();
    if (c == '[') return list(depth, ']');
    if (c == '{') return braces(depth);
    if (c == '-' || std::isdigit(static_cast<unsigned char>(c))) return number();
    return word(depth);
  }

  std::optional<Json> quoted() {
    const char quote = text_[at_++];
    std::string out;
    while (at_ < text_.size() && text_[at_] != quote) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      out += text_[at_++];
    }
    return take(quote) ? std::optional<Json>(out) : std::nullopt;
  }

  std::optional<Json> number() {
    const char* begin = text_.data() + at_;
    const char* end = text_.data() + text_.size();
    int64_t whole = 0;
    const auto [whole_end, whole_error] = std::from_chars(begin, end, whole);
    double real = 0;
    const auto [real_end, real_error] = std::from_chars(begin, end, real);
    if (real_error != std::errc()) return std::nullopt;
    const bool is_whole = whole_error == std::errc() && whole_end == real_end;
    at_ += static_cast<size_t>(real_end - begin);
    if (at_ < text_.size() && std::string_view("lL").find(text_[at_]) != std::string_view::npos) {
      ++at_;
      return is_whole ? std::optional<Json>(whole) : std::nullopt;
    }
    if (at_ < text_.size() && std::string_view("fFdD").find(text_[at_]) != std::string_view::npos) {
      ++at_;
      return Json(real);
    }
    return is_whole ? Json(whole) : Json(real);
  }

  // Values up to `close`, which the opening one's place is left for.
  std::optional<Json> list(int depth, char close) {
    ++at_;
    Json out = Json::array();
    while (!take(close)) {
      if (!out.empty() && !take(',')) return std::nullopt;
      if (take(close)) return out;  // a comma may end a list
      auto value = read(depth + 1);
      if (!value) return std::nullopt;
      out.push_back(std::move(*value));
    }
    return out;
  }

  // {key: value, ...}, or the values of a Java array.
  std::optional<Json> braces(int depth) {
    const size_t start = at_++;
    Json out = Json::object();
    while (!take('}')) {
      if (!out.empty() && !take(',')) return std::nullopt;
      if (take('}')) return out;
      const auto key = read(depth + 1);
      if (!key) return std::nullopt;
      if (!take(':')) {
        at_ = start;
        return out.empty() ? list(depth, '}') : std::nullopt;
      }
      auto value = read(depth + 1);
      if (!value || !key->is_string()) return std::nullopt;
      out[key->get<std::string>()] = std::move(*value);
    }
    return out;
  }

  std::optional<Json> word(int depth) {
    const size_t start = at_;
    while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    const std::string_view name = text_.substr(start, at_ - start);
    if (name.empty()) return std::nullopt;
    if (name == "true" || name == "false") return Json(name == "true");
    if (name == "null" || name == "undefined") return Json(nullptr);
    if (name == "new") return made(depth);
    skip_blanks();
    if (at_ < text_.size() && text_[at_] == '(') {  // Arrays.asList(...), List.of(...)
      return list(depth, ')');
    }
    return Json(std::string(name));  // a name stands for itself
  }

  // new T[]{...}, new ArrayList<T>(...), new HashMap<K, V>() {{ put(k, v); ... }}
  std::optional<Json> made(int depth) {
    skip_blanks();
    while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    if (take('<')) {
      while (at_ < text_.size() && text_[at_] != '(') ++at_;
    }
    bool array = false;
    while (take('[')) {
      if (!take(']')) return std::nullopt;
      array = true;
    }
    if (array) {
      skip_blanks();
      return at_ < text_.size() && text_[at_] == '{' ? list(depth, '}') : std::nullopt;
    }
    skip_blanks();
    if (at_ == text_.size() || text_[at_] != '(') return std::nullopt;
    auto inside = list(depth, ')');
    if (!inside) return std::nullopt;
    if (take('{')) return puts(depth);
    // A collection made of another one is that one.
    return inside->size() == 1 && inside->front().is_array() ? inside->front() : *inside;
  }

  std::optional<Json> puts(int depth) {
    Json out = Json::object();
    if (!take('{')) return std::nullopt;
    while (!take('}')) {
      skip_blanks();
      if (text_.substr(at_, 3) != "put") return std::nullopt;
      at_ += 3;
      skip_blanks();
      if (at_ == text_.size() || text_[at_] != '(') return std::nullopt;
      auto pair = list(depth, ')');
      if (!pair || pair->size() != 2 || !pair->front().is_string() || !take(';')) {
        return std::nullopt;
      }
      out[pair->front().get<std::string>()] = pair->back();
    }
    return take('}') ? std::optional<Json>(out) : std::nullopt;
  }

  void skip_blanks() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  bool take(char c) {
    skip_blanks();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

Json read_literal(std::string_view text) {
  if (auto value = Reader(text).whole()) return *value;
  return std::string(text);
}

}  // namespace ds4::suites::bfcl

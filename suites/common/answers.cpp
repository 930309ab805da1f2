// Linear scans only: an answer may be megabytes of anything, and std::regex recurses on its input.
#include "suites/common/answers.h"

#include <array>

namespace ds4::suites {
namespace {

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         static_cast<unsigned char>(c) >= 0x80;
}

}  // namespace

size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates and values above U+10FFFF.
  if ((lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xed && byte(1) > 0x9f)) return 0;
  if ((lead == 0xf0 && byte(1) < 0x90) || (lead == 0xf4 && byte(1) > 0x8f)) return 0;
  return length;
}

std::string_view visible_answer(const Answer& answer) {
  const bool taken_apart =
      !answer.content.empty() || !answer.reasoning.empty() || !answer.tool_calls.empty();
  return taken_apart ? std::string_view(answer.content) : std::string_view(answer.text);
}

bool was_cut(const Answer& answer) {
  return answer.finish_reason == "length" || answer.finish_reason == "error";
}

Score invalid_score(const Answer& answer, std::string_view what) {
  const bool failed = answer.finish_reason == "error";
  Score score;
  score.grade = Grade::kInvalid;
  score.explanation = std::string(failed ? "The target reported an error before "
                                         : "Cut by the token limit before ")
                          .append(what)
                          .append("; no verdict.");
  return score;
}

std::string printable(std::string_view text, size_t max_bytes) {
  std::string out;
  while (!text.empty() && out.size() < max_bytes) {
    const size_t length = utf8_length(text);
    if (length == 0) {
      out += "\xef\xbf\xbd";
    } else if (length == 1 && (static_cast<unsigned char>(text[0]) < 0x20 || text[0] == 0x7f)) {
      out += ' ';
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  if (!text.empty()) out += "...";
  return out;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string normalise_words(std::string_view text) {
  std::string out;
  for (char c : lower_case(text)) {
    if (is_word(c)) {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  return std::string(trim(out));
}

bool contains_words(std::string_view text, std::string_view phrase) {
  if (phrase.empty()) return false;
  for (size_t at = text.find(phrase); at != text.npos; at = text.find(phrase, at + 1)) {
    const size_t end = at + phrase.size();
    const bool starts = at == 0 || !is_word(text[at - 1]) || !is_word(phrase.front());
    const bool ends = end == text.size() || !is_word(text[end]) || !is_word(phrase.back());
    if (starts && ends) return true;
  }
  return false;
}

std::string_view leaked_marker(std::string_view text) {
  // U+FF5C is the bar of every special token; the plain forms are what a tolerant parser accepts.
  static constexpr std::array<std::string_view, 8> kMarkers = {"<\xef\xbd\x9c",
                                                               "\xef\xbd\x9c"
                                                               "DSML",
                                                               "\xef\xbd\x9c>",
                                                               "tool_calls>",
                                                               "<invoke ",
                                                               "</invoke>",
                                                               "<think>",
                                                               "</think>"};
  for (std::string_view marker : kMarkers) {
    const size_t at = text.find(marker);
    if (at != text.npos) return text.substr(at, marker.size());
  }
  return {};
}

std::optional<std::string> labelled_field(std::string_view text, std::string_view label) {
  const std::string wanted = lower_case(label);
  std::optional<std::string> found;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
    const auto skip_marks = [&line] {
      while (!line.empty() && (is_space(line.front()) || line.front() == '*' ||
                               line.front() == '`' || line.front() == '-' || line.front() == '#')) {
        line.remove_prefix(1);
      }
    };
    skip_marks();
    if (line.size() <= wanted.size() || lower_case(line.substr(0, wanted.size())) != wanted)
      continue;
    line.remove_prefix(wanted.size());
    while (!line.empty() && line.front() == '*') line.remove_prefix(1);
    if (line.empty() || line.front() != ':') continue;
    line.remove_prefix(1);
    skip_marks();
    while (!line.empty() && (is_space(line.back()) || line.back() == '*' || line.back() == '`' ||
                             line.back() == '.')) {
      line.remove_suffix(1);
    }
    found = std::string(line);
  }
  return found;
}

}  // namespace ds4::suites

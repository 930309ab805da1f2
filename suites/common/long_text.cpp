#include "suites/common/long_text.h"

#include <algorithm>
#include <map>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "suites/common/answers.h"
#include "suites/common/conversation.h"
#include "suites/needle/phrases.h"

namespace ds4::suites {
namespace {

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// A blank between two letters: tokenizers of text never join what lies on both sides of it, and
// take it to what follows.
std::vector<size_t> word_ends(const std::string& text) {
  std::vector<size_t> ends;
  for (size_t i = 1; i + 1 < text.size(); ++i) {
    if (text[i] == ' ' && is_letter(text[i - 1]) && is_letter(text[i + 1])) ends.push_back(i);
  }
  return ends;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace

std::string generated_text(uint64_t seed, int64_t words) {
  Rng rng(seed);
  std::string text;
  for (int64_t have = 0; have < words;) {
    const std::string line = random_filler_line(rng);
    have += std::count(line.begin(), line.end(), ' ') + 1;
    text += line + "\n";
  }
  return text;
}

const std::string& file_text(const std::string& suite, const std::string& file) {
  static std::map<std::string, std::string> texts;
  const auto [place, is_new] = texts.try_emplace(file);
  if (!is_new) return place->second;
  try {
    place->second = read_file(file);
  } catch (const Error& e) {
    texts.erase(place);
    throw Error(ErrorCode::kProfile, suite + ": `text`: " + e.what(),
                "Name a text file; a relative path starts at the folder that you run in.");
  }
  if (!is_utf8(place->second)) {
    texts.erase(place);
    throw Error(ErrorCode::kProfile, suite + ": `text`: " + file + " is no UTF-8 text",
                "Convert it, for example with `iconv -t UTF-8`.");
  }
  return place->second;
}

Beginning beginning_of(const std::string& suite, const std::string& text, int64_t tokens,
                       const TokenCounter& counter) {
  const std::vector<size_t> ends = word_ends(text);
  // The template's part, which is the same around every text.
  const int64_t frame = counter.count(ask("a", false)) - 1;
  const auto count = [&](size_t end) {
    return counter.count(ask(text.substr(0, ends[end]), false)) - frame;
  };
  // Between two ends, `low` fits and `high` does not; a word has a token at least.
  size_t low = 0, high = ends.size();
  int64_t low_tokens = ends.empty() ? 0 : count(0);
  double words_per_token = 0.5;
  while (low_tokens < tokens && low + 1 < high) {
    const auto left = static_cast<size_t>(tokens - low_tokens);
    if (counter.exact) high = std::min(high, low + left + 1);
    const auto step = static_cast<size_t>(static_cast<double>(left) * words_per_token);
    const size_t at = std::clamp(low + step, low + 1, high - 1);
    const int64_t found = count(at);
    words_per_token = std::clamp(static_cast<double>(at - low) /
                                     static_cast<double>(std::max<int64_t>(1, found - low_tokens)),
                                 0.01, 1.0);
    if (found <= tokens) {
      low = at;
      low_tokens = found;
    } else {
      high = at;
    }
  }
  if (ends.empty() || low_tokens > tokens || (low + 1 == ends.size() && low_tokens < tokens)) {
    throw Error(ErrorCode::kProfile,
                suite + ": the text has no beginning of " + std::to_string(tokens) + " tokens",
                "Give a longer text in `text`, or take fewer tokens.");
  }
  return {text.substr(0, ends[low]), low_tokens};
}

}  // namespace ds4::suites

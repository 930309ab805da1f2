#include "suites/common/garble.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <unordered_set>
#include <vector>

#include "suites/common/answers.h"

namespace ds4::suites {
namespace {

// Bounds. Each is far from what ordinary answers show, because a false alarm hides the real class.
constexpr int64_t kMostInvalid = 2;
constexpr int64_t kMostControl = 2;
constexpr int64_t kLoopBytes = 200, kLoopTimes = 16;
constexpr double kLoopShare = 0.5;
constexpr int64_t kManyWords = 100;
constexpr double kFewDistinct = 0.2;
constexpr int kForeignScripts = 2;  // one alone may be what was asked for
constexpr int64_t kForeignLetters = 8;
constexpr double kForeignShare = 0.02;

constexpr size_t kLongestUnit = 64;  // of a loop, in bytes

enum Script {
  kNone,
  kLatin,
  kGreek,
  kCyrillic,
  kHebrew,
  kArabic,
  kIndic,
  kThai,
  kKana,
  kHan,
  kHangul,
  kScripts
};

// The script of a letter; kNone for everything else. Coarse on purpose: a letter of an ordinary
// answer must not be taken for another script.
Script script_of(uint32_t c) {
  struct Range {
    uint32_t first, last;
    Script script;
  };
  static constexpr Range kRanges[] = {
      {'A', 'Z', kLatin},        {'a', 'z', kLatin},        {0xc0, 0x24f, kLatin},
      {0x370, 0x3ff, kGreek},    {0x400, 0x52f, kCyrillic}, {0x590, 0x5ff, kHebrew},
      {0x600, 0x6ff, kArabic},   {0x900, 0xdff, kIndic},    {0xe00, 0xe7f, kThai},
      {0x1100, 0x11ff, kHangul}, {0x3040, 0x30ff, kKana},   {0x3400, 0x4dbf, kHan},
      {0x4e00, 0x9fff, kHan},    {0xac00, 0xd7af, kHangul}, {0xf900, 0xfaff, kHan},
  };
  for (const Range& range : kRanges) {
    if (c >= range.first && c <= range.last) return range.script;
  }
  return kNone;
}

// Greek letters stand in formulas, kana and Han go together: neither is a stranger to the other.
bool known(const std::array<bool, kScripts>& prompt, int script) {
  if (script == kLatin || script == kGreek) return true;
  if (script == kKana || script == kHan) return prompt[kKana] || prompt[kHan];
  return prompt[static_cast<size_t>(script)];
}

// Calls use(code point) for every character and bad(bytes left) for every byte that begins none.
template <typename Use, typename Bad>
void each_character(std::string_view text, const Use& use, const Bad& bad) {
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    if (length == 0) {
      bad(text.size());
      text.remove_prefix(1);
      continue;
    }
    uint32_t c = static_cast<unsigned char>(text[0]);
    if (length > 1) c &= 0xffu >> (length + 1);
    for (size_t i = 1; i < length; ++i) c = c << 6 | (static_cast<unsigned char>(text[i]) & 0x3f);
    use(c);
    text.remove_prefix(length);
  }
}

// The longest stretch in which text[i] == text[i - unit], over all units: a unit that is repeated
// back to back.
void find_loop(std::string_view text, GarbleFeatures& features) {
  size_t longest = 0, of_unit = 1;
  for (size_t unit = 1; unit <= kLongestUnit && unit < text.size(); ++unit) {
    size_t run = 0;
    for (size_t i = unit; i < text.size(); ++i) {
      run = text[i] == text[i - unit] ? run + 1 : 0;
      if (run + unit > longest && run > 0) {
        longest = run + unit;
        of_unit = unit;
      }
    }
  }
  features.loop_times = static_cast<int64_t>(longest / of_unit);
  features.loop_share =
      text.empty() ? 0 : static_cast<double>(longest) / static_cast<double>(text.size());
}

void count_words(std::string_view text, GarbleFeatures& features) {
  std::vector<uint64_t> words;  // hashes
  uint64_t hash = 0;
  const auto end_word = [&] {
    if (hash != 0) words.push_back(hash);
    hash = 0;
  };
  for (const char c : text) {
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
      end_word();
    } else {
      hash = (hash + 1) * 0x100000001b3ull ^ static_cast<unsigned char>(c);
    }
  }
  end_word();
  features.words = static_cast<int64_t>(words.size());
  if (words.size() < 4) return;
  std::unordered_set<uint64_t> distinct;
  for (size_t i = 3; i < words.size(); ++i) {
    uint64_t gram = 0;
    for (size_t k = i - 3; k <= i; ++k) gram = gram * 0x9e3779b97f4a7c15ull + words[k];
    distinct.insert(gram);
  }
  features.distinct_4grams =
      static_cast<double>(distinct.size()) / static_cast<double>(words.size() - 3);
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.0f %%", 100 * share);
  return text;
}

}  // namespace

GarbleFeatures garble_features(std::string_view prompt, std::string_view answer) {
  GarbleFeatures features;
  features.bytes = static_cast<int64_t>(answer.size());
  std::array<bool, kScripts> asked{};
  each_character(
      prompt, [&](uint32_t c) { asked[script_of(c)] = true; }, [](size_t) {});
  std::array<bool, kScripts> strange{};
  each_character(
      answer,
      [&](uint32_t c) {
        const Script script = script_of(c);
        features.letters += script != kNone;
        features.invalid += c == 0xfffd;
        features.control += (c < 0x20 && c != '\t' && c != '\n' && c != '\r') ||
                            (c >= 0x7f && c < 0xa0) || (c >= 0xe000 && c <= 0xf8ff);
        if (script == kNone || known(asked, script)) return;
        ++features.foreign;
        strange[script == kKana ? kHan : script] = true;  // Japanese is one script here
      },
      [&](size_t left) { features.invalid += left > 3; });  // a budget may cut a character
  features.foreign_scripts = static_cast<int>(std::count(strange.begin(), strange.end(), true));
  find_loop(answer, features);
  count_words(answer, features);
  features.marker = leaked_marker(answer);
  return features;
}

std::string garble_reason(const GarbleFeatures& f) {
  if (!f.marker.empty()) return "the text of a special token leaks: " + printable(f.marker);
  if (f.invalid > kMostInvalid) {
    return std::to_string(f.invalid) + " bytes or characters are no text (invalid UTF-8, U+FFFD)";
  }
  if (f.control > kMostControl) {
    return std::to_string(f.control) + " control or private-use characters";
  }
  if (f.bytes >= kLoopBytes && f.loop_times >= kLoopTimes && f.loop_share >= kLoopShare) {
    return "one piece is repeated " + std::to_string(f.loop_times) + " times over " +
           percent(f.loop_share) + " of the answer";
  }
  if (f.words >= kManyWords && f.distinct_4grams < kFewDistinct) {
    return "only " + percent(f.distinct_4grams) + " of its runs of four words differ";
  }
  const double share =
      f.letters > 0 ? static_cast<double>(f.foreign) / static_cast<double>(f.letters) : 0;
  if (f.foreign_scripts >= kForeignScripts && f.foreign >= kForeignLetters &&
      share >= kForeignShare) {
    return percent(share) + " of its letters are of " + std::to_string(f.foreign_scripts) +
           " scripts that the prompt has none of";
  }
  return "";
}

}  // namespace ds4::suites

#include "suites/common/garble.h"

#include <zstd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <unordered_map>

#include "suites/common/answers.h"
#include "suites/common/scripts.h"

namespace ds4::suites {
namespace {

using enum GarbleFeature;

constexpr size_t kLongestUnit = 64;  // of a loop, in bytes
constexpr size_t kLoopBytes = 200, kLoopTimes = 16;
constexpr size_t kWindowWords = 200, kHopWords = 50, kFewestWords = 100;
constexpr size_t kWindowBytes = 1024, kHopBytes = 512, kFewestBytes = 512;
constexpr int64_t kForeignLetters = 8;
constexpr int kForeignScripts = 2;  // one alone may be what was asked for
constexpr size_t kLogprobWindow = 16;

struct Described {
  GarbleFeature feature;
  const char* name;
  std::optional<GarbleBound> bound;
  const char* sentence;  // behind the value
};

// The bounds are calibrated: docs/garble.md has what each costs and finds.
const std::array<Described, kGarbleFeatures>& described() {
  static const std::array<Described, kGarbleFeatures> list = {{
      {kMarker, "marker", GarbleBound{0, true}, "texts of special tokens leak"},
      {kInvalid, "invalid", GarbleBound{1, true},
       "bytes or characters are no text (invalid UTF-8, U+FFFD)"},
      {kControl, "control", GarbleBound{0, true}, "control or private-use characters"},
      {kLoop, "loop", GarbleBound{0.25, true}, "of the answer is one piece, repeated"},
      {kFew4grams, "distinct_4grams", GarbleBound{0.35, false},
       "of its runs of four words differ, where it repeats most"},
      {kCompression, "compression", GarbleBound{0.025, false},
       "of its bytes are left after compression, where it repeats most"},
      {kNoise, "noise", GarbleBound{0.9, true}, "of its bytes are left after compression: noise"},
      {kForeign, "foreign", GarbleBound{0.02, true},
       "of its letters are of several scripts that the prompt has none of"},
      {kLogprob, "logprob", GarbleBound{-4, false}, "is the mean log-probability of its tokens"},
      {kWorstLogprob, "worst_logprob", GarbleBound{-8, false},
       "is the mean log-probability of its unlikeliest 16 tokens in a row"},
      {kEmpty, "empty", GarbleBound{0, true}, "tokens were counted and there is nothing to read"},
      {kUnfinished, "unfinished", std::nullopt, ""},
  }};
  return list;
}

const Described& of(GarbleFeature feature) {
  return described()[static_cast<size_t>(feature)];
}

GarbleValue& at(GarbleValues& values, GarbleFeature feature) {
  return values[static_cast<size_t>(feature)];
}

// Greek letters stand in formulas, kana and Han go together: neither is a stranger to the other.
bool known(const std::array<bool, kScripts>& prompt, int script) {
  if (script == kLatin || script == kGreek) return true;
  if (script == kKana || script == kHan) return prompt[kKana] || prompt[kHan];
  return prompt[static_cast<size_t>(script)];
}

void count(GarbleValue& value, size_t offset) {
  if (value.onset < 0) value.onset = static_cast<int64_t>(offset);
  *value.value += 1;
}

void look_at_characters(const GarbleInput& input, GarbleValues& values) {
  std::array<bool, kScripts> asked{};
  each_character(
      input.prompt, [&](uint32_t c, size_t) { asked[script_of(c)] = true; }, [](size_t) {});
  std::array<bool, kScripts> strange{};
  GarbleValue invalid{0.0}, control{0.0}, foreign{0.0};
  int64_t letters = 0;
  each_character(
      input.answer,
      [&](uint32_t c, size_t offset) {
        const bool is_control = (c < 0x20 && c != '\t' && c != '\n' && c != '\r') ||
                                (c >= 0x7f && c < 0xa0) || (c >= 0xe000 && c <= 0xf8ff) ||
                                c >= 0xf0000;
        if (c == 0xfffd) count(invalid, offset);
        if (is_control) count(control, offset);
        const Script script = script_of(c);
        letters += script != kNoScript;
        if (script == kNoScript || known(asked, script)) return;
        count(foreign, offset);
        strange[script == kKana ? kHan : script] = true;  // Japanese is one script here
      },
      [&](size_t offset) {  // a budget may cut a character
        if (input.answer.size() - offset > 3) count(invalid, offset);
      });
  const bool many = std::count(strange.begin(), strange.end(), true) >= kForeignScripts;
  foreign.value =
      many && *foreign.value >= kForeignLetters ? *foreign.value / static_cast<double>(letters) : 0;
  at(values, kInvalid) = invalid;
  at(values, kControl) = control;
  at(values, kForeign) = foreign;
}

// Of a word that can be read; tables of numbers repeat themselves and mean it.
bool is_letter(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x80 || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
}

bool has_letter(std::string_view text) {
  return std::any_of(text.begin(), text.end(), is_letter);
}

// The longest stretch in which text[i] == text[i - unit], over all units: a unit that is repeated
// back to back.
GarbleValue find_loop(std::string_view text) {
  size_t longest = 0, begin = 0;
  for (size_t unit = 1; unit <= kLongestUnit && unit < text.size(); ++unit) {
    size_t run = 0;
    for (size_t i = unit; i < text.size(); ++i) {
      run = text[i] == text[i - unit] ? run + 1 : 0;
      const size_t whole = run + unit;
      if (run > 0 && whole > longest && whole >= kLoopBytes && whole >= kLoopTimes * unit &&
          has_letter(text.substr(i + 1 - unit, unit))) {
        longest = whole;
        begin = i + 1 - whole;
      }
    }
  }
  if (longest == 0) return {0.0};
  return {static_cast<double>(longest) / static_cast<double>(text.size()),
          static_cast<int64_t>(begin)};
}

struct Word {
  uint64_t hash = 0;
  size_t offset = 0;
};

// The words that have a letter.
std::vector<Word> words_of(std::string_view text) {
  std::vector<Word> words;
  bool inside = false, lettered = true;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool space = c == ' ' || (c >= '\t' && c <= '\r');
    if (!space && !inside) {
      if (!lettered) words.pop_back();
      words.push_back({1, i});
      lettered = false;
    }
    if (!space) {
      lettered |= is_letter(c);
      words.back().hash = words.back().hash * 0x100000001b3ull ^ static_cast<unsigned char>(c);
    }
    inside = !space;
  }
  if (!lettered) words.pop_back();
  return words;
}

// Of windows that overlap, so that a late loop is not thinned by what stands before it.
GarbleValue fewest_4grams(std::string_view text) {
  const std::vector<Word> words = words_of(text);
  if (words.size() < kFewestWords) return {};
  std::vector<uint64_t> grams;
  for (size_t i = 3; i < words.size(); ++i) {
    uint64_t gram = 0;
    for (size_t k = i - 3; k <= i; ++k) gram = gram * 0x9e3779b97f4a7c15ull + words[k].hash;
    grams.push_back(gram);
  }
  GarbleValue worst{1.0, 0};
  for (size_t begin = 0;; begin += kHopWords) {
    const size_t end = std::min(begin + kWindowWords, grams.size());
    // The last window reaches back, so that it is a whole one.
    begin = end - std::min(end, kWindowWords);
    std::unordered_map<uint64_t, int> seen;
    for (size_t i = begin; i < end; ++i) ++seen[grams[i]];
    const double share = static_cast<double>(seen.size()) / static_cast<double>(end - begin);
    if (share < *worst.value) worst = {share, static_cast<int64_t>(words[begin].offset)};
    if (end == grams.size()) return worst;
  }
}

void compress_windows(std::string_view text, GarbleValues& values) {
  if (text.size() < kFewestBytes) return;
  GarbleValue least{2.0}, most{0.0};
  std::vector<char> out(ZSTD_compressBound(kWindowBytes));
  for (size_t begin = 0;; begin += kHopBytes) {
    const size_t end = std::min(begin + kWindowBytes, text.size());
    begin = end - std::min(end, kWindowBytes);
    const size_t size = ZSTD_compress(out.data(), out.size(), text.data() + begin, end - begin, 3);
    if (ZSTD_isError(size)) return;
    const double ratio = static_cast<double>(size) / static_cast<double>(end - begin);
    if (ratio < *least.value) least = {ratio, static_cast<int64_t>(begin)};
    if (ratio > *most.value) most = {ratio, static_cast<int64_t>(begin)};
    if (end == text.size()) break;
  }
  at(values, kCompression) = least;
  at(values, kNoise) = most;
}

void look_at_logprobs(const GarbleInput& input, GarbleValues& values) {
  const auto n = input.logprobs.size();
  if (n == 0) return;
  double sum = 0, window = 0, worst = 0;
  size_t worst_end = 0;
  for (size_t i = 0; i < n; ++i) {
    const double logprob = std::max(input.logprobs[i], -1000.0);  // minus infinity of a server
    sum += logprob;
    window +=
        logprob - (i >= kLogprobWindow ? std::max(input.logprobs[i - kLogprobWindow], -1000.0) : 0);
    if (i + 1 >= kLogprobWindow && window < worst) {
      worst = window;
      worst_end = i + 1;
    }
  }
  at(values, kLogprob) = {sum / static_cast<double>(n), 0};
  if (n < kLogprobWindow) return;
  // Tokens are not bytes: the place is by their share.
  const size_t begin = worst_end < kLogprobWindow ? 0 : worst_end - kLogprobWindow;
  at(values, kWorstLogprob) = {worst / kLogprobWindow,
                               static_cast<int64_t>(begin * input.answer.size() / n)};
}

bool ends_a_sentence(std::string_view text) {
  text = trim(text);
  if (text.empty()) return true;
  for (const std::string_view end : {".", "!", "?", ":", ";", "\"", "'", ")", "]", "}", "`", "*",
                                     "|", "。", "！", "？", "」", "…", "।"}) {
    if (text.ends_with(end)) return true;
  }
  return false;
}

std::string number(GarbleFeature feature, double value) {
  const bool is_share = feature == kLoop || feature == kFew4grams || feature == kCompression ||
                        feature == kNoise || feature == kForeign;
  char text[32];
  std::snprintf(text, sizeof text, is_share ? "%.0f %%" : "%.4g", is_share ? 100 * value : value);
  return text;
}

}  // namespace

std::string_view name_of(GarbleFeature feature) {
  return of(feature).name;
}

std::optional<GarbleBound> bound_of(GarbleFeature feature) {
  return of(feature).bound;
}

GarbleValues garble_values(const GarbleInput& input) {
  GarbleValues values;
  const std::string_view marker = leaked_marker(input.answer);
  at(values, kMarker) = {as_value(!marker.empty()),
                         marker.empty() ? -1 : marker.data() - input.answer.data()};
  look_at_characters(input, values);
  at(values, kLoop) = find_loop(input.answer);
  at(values, kFew4grams) = fewest_4grams(input.answer);
  compress_windows(input.answer, values);
  look_at_logprobs(input, values);
  // The end token alone is an answer too: one that says nothing and was meant to.
  const bool empty = input.completion_tokens > 1 && trim(input.answer).empty() && !input.has_calls;
  at(values, kEmpty) = {as_value(empty), 0};
  at(values, kUnfinished) = {as_value(input.cut && !ends_a_sentence(input.answer)),
                             static_cast<int64_t>(input.answer.size())};
  return values;
}

bool is_garbled(GarbleFeature feature, const GarbleValue& value) {
  const auto bound = bound_of(feature);
  if (!bound || !value.value) return false;
  return bound->above ? *value.value > bound->value : *value.value < bound->value;
}

std::vector<GarbleFeature> garble_signs(const GarbleValues& values) {
  std::vector<GarbleFeature> signs;
  for (size_t i = 0; i < kGarbleFeatures; ++i) {
    const auto feature = static_cast<GarbleFeature>(i);
    if (is_garbled(feature, values[i])) signs.push_back(feature);
  }
  return signs;
}

int64_t garble_onset(const GarbleValues& values) {
  int64_t first = -1;
  for (const GarbleFeature sign : garble_signs(values)) {
    const int64_t onset = values[static_cast<size_t>(sign)].onset;
    if (onset >= 0 && (first < 0 || onset < first)) first = onset;
  }
  return first;
}

std::string garble_reason(const GarbleValues& values) {
  const std::vector<GarbleFeature> signs = garble_signs(values);
  if (signs.empty()) return "";
  const GarbleFeature sign = signs.front();
  const GarbleValue& value = values[static_cast<size_t>(sign)];
  std::string text = of(sign).sentence;
  if (sign != kMarker && sign != kEmpty) text = number(sign, *value.value) + " " + text;
  if (value.onset > 0) text += ", from byte " + std::to_string(value.onset) + " on";
  return text;
}

}  // namespace ds4::suites

// StopStrings against a search of the whole text, with the pieces cut everywhere.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "engine/api/text.h"
#include "engine/base/error.h"

namespace ds4 {
namespace {

struct Outcome {
  std::string text;
  bool stopped = false;
  bool operator==(const Outcome&) const = default;
};

// By definition: the shortest beginning of the text that ends in a stop string, without it.
Outcome search(const std::string& text, const std::vector<std::string>& stops) {
  for (size_t end = 0; end <= text.size(); ++end) {
    size_t longest = 0;
    for (const std::string& stop : stops) {
      if (text.substr(0, end).ends_with(stop)) longest = std::max(longest, stop.size());
    }
    if (longest > 0) return {text.substr(0, end - longest), true};
  }
  return {text, false};
}

// Feeds the text in pieces of the given lengths in turn; what is let out must at every moment be a
// beginning of the outcome.
Outcome stream(const std::string& text, const std::vector<std::string>& stops,
               const std::vector<size_t>& lengths) {
  const Outcome expected = search(text, stops);
  StopStrings matcher(stops);
  Outcome got;
  size_t piece = 0;
  for (size_t at = 0; at < text.size() && !matcher.stopped();) {
    const size_t length = std::min(lengths[piece++ % lengths.size()], text.size() - at);
    got.text += matcher.push(text.substr(at, length));
    EXPECT_TRUE(expected.text.starts_with(got.text)) << text << ": let out " << got.text;
    at += length;
  }
  got.stopped = matcher.stopped();
  EXPECT_EQ(matcher.push(""), "");
  got.text += matcher.finish();
  return got;
}

TEST(StopStrings, FindsThemHoweverThePiecesAreCut) {
  const std::vector<std::vector<std::string>> sets = {{},
                                                      {"END"},
                                                      {"aab"},
                                                      {"abab", "ba"},
                                                      {"abcd", "bc"},
                                                      {"\n\n", "é!"},
                                                      {"e", "END"},
                                                      {"aaaa", "aaab"},
                                                      {"</a>", "</ab>", "<"},
                                                      {"日本", "本x"}};
  const std::vector<std::string> texts = {
      "",        "plain", "xxENDyy",        "ENENDEND",    "aaaaaaab",          "abaababab",
      "abcabcd", "xabcd", "naé é! caf\n\n", "a\nb\n\nc",   "a </b> </ab> </a>", "日日本本x",
      "本日本x", "EN",    "<｜User｜>END",  "aaaaaaaaaaaa"};
  for (const auto& stops : sets) {
    for (const std::string& text : texts) {
      for (const std::vector<size_t>& lengths :
           {std::vector<size_t>{1}, {2}, {3}, {1, 5}, {4, 1, 2}, {100}}) {
        EXPECT_EQ(stream(text, stops, lengths), search(text, stops)) << text;
      }
    }
  }
}

TEST(StopStrings, HoldsBackOnlyWhatCouldBeginOne) {
  StopStrings matcher({"\n\nQ:"});
  EXPECT_EQ(matcher.push("answer"), "answer");
  EXPECT_EQ(matcher.push(" 4\n"), " 4");
  EXPECT_EQ(matcher.push("\n"), "");
  EXPECT_EQ(matcher.push("Z"), "\n\nZ");
  EXPECT_EQ(matcher.push("\n"), "");
  EXPECT_EQ(matcher.finish(), "\n");
}

TEST(StopStrings, RefusesAnEmptyOne) {
  EXPECT_THROW(StopStrings({"a", ""}), Error);
}

}  // namespace
}  // namespace ds4

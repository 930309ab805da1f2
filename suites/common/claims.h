// Does a text say something? Terms are searched for word by word, without regard to case, accents
// and punctuation, and a term that is negated, asked or quoted from somebody can be told from one
// that the text states. Words only: it understands nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ds4::suites {

/// A term is a run of words: "log n", "O(n)", "sort*" (any ending), "returns ... index" (up to six
/// words between, of the same sentence, none of them a negation). A group holds when any of its
/// terms does.
using TermGroup = std::vector<std::string>;

class FoldedText {
 public:
  /// Linear in the text, whatever bytes it holds.
  explicit FoldedText(std::string_view text);

  /// The term stands somewhere.
  bool mentions(std::string_view term) const { return find(term, kMentioned); }
  /// It stands somewhere as a statement: not within four words behind a negation of its clause
  /// ("is not", "without", "rather than", "it is wrong that"; "not only" is none), not before
  /// "is not" or "is wrong", not in a question. "not ... without" cancel each other.
  bool claims(std::string_view term) const { return find(term, kClaimed); }
  /// As a statement of the text's own: claimed, and in a sentence that says of nobody else that he
  /// says so ("argues", "according to", "critics", ...).
  bool endorses(std::string_view term) const { return find(term, kEndorsed); }

  bool claims_any(const TermGroup& group) const;
  bool mentions_any(const TermGroup& group) const;
  /// The first term that is claimed or endorsed; empty when none is.
  std::string_view claimed_of(const TermGroup& group) const;
  std::string_view endorsed_of(const TermGroup& group) const;

  /// Sentences that say that somebody else says something.
  int64_t attributing_sentences() const;
  int64_t words() const { return words_; }
  /// Share of words in stretches of thirty that are English by their function words, and that are
  /// written in its letters themselves. 0 for a text without words.
  double english_share() const;

 private:
  enum Mode { kMentioned, kClaimed, kEndorsed };
  struct Token {
    std::string_view text;  // into folded_
    uint32_t clause = 0;
    uint32_t sentence = 0;
    bool negates = false;
    bool word = false;  // else a bracket or sign
  };
  struct Part {
    std::string text;
    bool open_end = false;
    bool gap_before = false;
  };

  void fold(std::string_view text);
  void mark_negations();
  void mark_attributions();
  static std::vector<Part> parts_of(std::string_view term);
  bool find(std::string_view term, Mode mode) const;
  /// Whether the parts from `part` on stand from token `at` on; `end` behind the last.
  bool matches(const std::vector<Part>& parts, size_t at, size_t& end) const;
  bool stated(size_t begin, size_t end) const;

  std::string folded_;
  std::vector<Token> tokens_;
  std::vector<bool> asked_;       // by sentence
  std::vector<bool> attributes_;  // by sentence
  int64_t words_ = 0;
};

}  // namespace ds4::suites

// Tokens with their clause and sentence; a term is compared token by token.
#include "suites/common/claims.h"

#include <algorithm>
#include <array>

#include "suites/common/folding.h"

namespace ds4::suites {
namespace {

constexpr size_t kNegationReach = 4;
constexpr size_t kGapWords = 6;

bool is_one_of(std::string_view text, const auto& list) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

constexpr std::array<std::string_view, 35> kNegations = {
    "not",      "no",      "never",     "cannot", "cant",    "isnt",   "arent",
    "wasnt",    "werent",  "doesnt",    "dont",   "didnt",   "wont",   "wouldnt",
    "shouldnt", "couldnt", "neednt",    "mustnt", "neither", "nor",    "without",
    "hardly",   "unlike",  "instead",   "rather", "non",     "false",  "wrong",
    "mistaken", "myth",    "incorrect", "untrue", "mistake", "avoids", "misconception"};
constexpr std::array<std::string_view, 4> kOnly = {"only", "just", "merely", "simply"};
// "X is not so", "X isn't", "X would be wrong" behind a term.
constexpr std::array<std::string_view, 8> kCopulas = {"is",   "are", "was",   "were",
                                                      "does", "do",  "would", "be"};
constexpr std::array<std::string_view, 6> kDenials = {"not",       "never", "false",
                                                      "incorrect", "wrong", "untrue"};
constexpr std::array<std::string_view, 6> kJoinedDenials = {"isnt",   "arent",   "wasnt",
                                                            "doesnt", "wouldnt", "werent"};
constexpr std::array<std::string_view, 12> kClauseWords = {
    "but", "however", "whereas", "although", "though", "because",
    "so",  "then",    "hence",   "thus",     "since",  "therefore"};
// "and" begins a clause of its own before one of these: "does not run and it returns 0".
constexpr std::array<std::string_view, 9> kSubjects = {"it", "the", "this",    "that",    "they",
                                                       "he", "she", "returns", "returned"};
constexpr std::array<std::string_view, 41> kAttributions = {
    "argue",     "argues",     "argued",  "claim",    "claims",     "claimed",   "held",
    "holds",     "hold",       "believe", "believes", "believed",   "according", "maintain",
    "maintains", "maintained", "say",     "assert",   "asserts",    "asserted",  "says",
    "said",      "insist",     "insists", "insisted", "teaches",    "taught",    "contends",
    "contended", "thinks",     "thought", "critics",  "proponents", "adherents", "wrote",
    "writes",    "sees",       "saw",     "answers",  "answered",   "replied"};
// Words of English that German, French, Spanish, Italian and Dutch do not have in this spelling.
constexpr std::array<std::string_view, 40> kEnglish = {
    "the",   "of",    "and",  "that", "is",    "to",    "for",  "with",  "are",  "this",
    "by",    "not",   "from", "it",   "or",    "which", "as",   "be",    "its",  "their",
    "but",   "have",  "has",  "they", "there", "what",  "when", "where", "who",  "would",
    "these", "those", "than", "we",   "you",   "he",    "his",  "about", "into", "while"};
constexpr int64_t kEnglishWindow = 30;

bool ascii_word(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<signed char>(c) > 0; });
}

}  // namespace

FoldedText::FoldedText(std::string_view text) {
  fold(text);
  mark_negations();
  mark_attributions();
}

void FoldedText::fold(std::string_view text) {
  struct Raw {
    size_t begin, end;
    uint32_t clause, sentence;
    bool word;
  };
  std::vector<Raw> raw;
  uint32_t clause = 0, sentence = 0;
  bool in_word = false;
  char before = ' ';
  std::string piece;
  asked_.push_back(false);
  while (!text.empty()) {
    size_t length = 0;
    const Folded what = fold_character(text, before, piece, length);
    before = text[length - 1];
    text.remove_prefix(length);
    if (what == Folded::kNothing) continue;
    const size_t at = folded_.size();
    folded_ += piece;
    if (what == Folded::kWord && in_word) {
      raw.back().end = folded_.size();
      continue;
    }
    in_word = what == Folded::kWord;
    if (what == Folded::kWord || what == Folded::kSign) {
      raw.push_back({at, folded_.size(), clause, sentence, in_word});
    } else if (what != Folded::kBlank) {
      ++clause;
      if (what == Folded::kQuestion) asked_[sentence] = true;
      if (what != Folded::kClause) {
        ++sentence;
        asked_.push_back(false);
      }
    }
  }
  tokens_.reserve(raw.size());
  uint32_t shift = 0;  // words that begin a clause of their own
  bool after_and = false;
  for (const Raw& token : raw) {
    const std::string_view word(folded_.data() + token.begin, token.end - token.begin);
    if (is_one_of(word, kClauseWords)) ++shift;
    if (after_and && is_one_of(word, kSubjects)) ++shift;
    after_and = word == "and";
    tokens_.push_back({word, token.clause + shift, token.sentence, false, token.word});
    words_ += token.word ? 1 : 0;
  }
}

void FoldedText::mark_negations() {
  for (size_t i = 0; i < tokens_.size(); ++i) {
    if (!is_one_of(tokens_[i].text, kNegations)) continue;
    if (i + 1 < tokens_.size() && is_one_of(tokens_[i + 1].text, kOnly)) continue;
    tokens_[i].negates = true;
    if (tokens_[i].text != "without") continue;
    for (size_t back = 1; back <= kGapWords && back <= i; ++back) {
      Token& other = tokens_[i - back];
      if (other.clause != tokens_[i].clause) break;
      if (!other.negates) continue;
      other.negates = tokens_[i].negates = false;  // "cannot be done without"
      break;
    }
  }
}

void FoldedText::mark_attributions() {
  attributes_.assign(asked_.size(), false);
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const std::string_view before = i > 0 ? tokens_[i - 1].text : std::string_view();
    const bool own = before == "i" || before == "we" || before == "to";  // "one has to say"
    if (!own && is_one_of(tokens_[i].text, kAttributions)) attributes_[tokens_[i].sentence] = true;
  }
}

std::vector<FoldedText::Part> FoldedText::parts_of(std::string_view term) {
  std::vector<Part> parts;
  bool in_word = false, gap = false;
  char before = ' ';
  std::string piece;
  while (!term.empty()) {
    if (term.starts_with("...")) {
      gap = true;
      in_word = false;
      term.remove_prefix(3);
      continue;
    }
    if (term.front() == '*' && in_word) {
      parts.back().open_end = true;
      in_word = false;
      term.remove_prefix(1);
      continue;
    }
    size_t length = 0;
    const Folded what = fold_character(term, before, piece, length);
    before = term[length - 1];
    term.remove_prefix(length);
    if (what == Folded::kNothing) continue;
    if (what == Folded::kWord && in_word) {
      parts.back().text += piece;
      continue;
    }
    in_word = what == Folded::kWord;
    if (what != Folded::kWord && what != Folded::kSign) continue;
    parts.push_back({piece, false, gap});
    gap = false;
  }
  return parts;
}

bool FoldedText::matches(const std::vector<Part>& parts, size_t at, size_t& end) const {
  const auto fits = [&](size_t part, size_t token) {
    return parts[part].open_end ? tokens_[token].text.starts_with(parts[part].text)
                                : tokens_[token].text == parts[part].text;
  };
  const uint32_t sentence = tokens_[at].sentence;
  for (size_t part = 0; part < parts.size(); ++part) {
    const size_t reach = parts[part].gap_before ? kGapWords : 0;
    size_t skipped = 0;
    while (at < tokens_.size() && tokens_[at].sentence == sentence && !fits(part, at) &&
           skipped < reach && !tokens_[at].negates) {
      ++at;
      ++skipped;
    }
    if (at == tokens_.size() || tokens_[at].sentence != sentence || !fits(part, at)) return false;
    ++at;
  }
  end = at;
  return true;
}

bool FoldedText::stated(size_t begin, size_t end) const {
  const Token& first = tokens_[begin];
  if (asked_[first.sentence]) return false;
  for (size_t back = 1; back <= kNegationReach && back <= begin; ++back) {
    const Token& token = tokens_[begin - back];
    if (token.clause != first.clause) break;
    if (token.negates) return false;
  }
  const uint32_t clause = tokens_[end - 1].clause;
  const auto next = [&](size_t i) {
    return end + i < tokens_.size() && tokens_[end + i].clause == clause ? tokens_[end + i].text
                                                                         : std::string_view();
  };
  if (is_one_of(next(0), kJoinedDenials)) return false;
  return !is_one_of(next(0), kCopulas) ||
         !(is_one_of(next(1), kDenials) ||
           (is_one_of(next(1), kCopulas) && is_one_of(next(2), kDenials)));
}

bool FoldedText::find(std::string_view term, Mode mode) const {
  const std::vector<Part> parts = parts_of(term);
  if (parts.empty()) return false;
  for (size_t at = 0; at < tokens_.size(); ++at) {
    size_t end = 0;
    if (!matches(parts, at, end)) continue;
    if (mode != kMentioned && !stated(at, end)) continue;
    if (mode == kEndorsed && attributes_[tokens_[at].sentence]) continue;
    return true;
  }
  return false;
}

bool FoldedText::claims_any(const TermGroup& group) const {
  return std::any_of(group.begin(), group.end(), [&](const auto& term) { return claims(term); });
}
bool FoldedText::mentions_any(const TermGroup& group) const {
  return std::any_of(group.begin(), group.end(), [&](const auto& term) { return mentions(term); });
}
std::string_view FoldedText::claimed_of(const TermGroup& group) const {
  for (const std::string& term : group) {
    if (claims(term)) return term;
  }
  return {};
}
std::string_view FoldedText::endorsed_of(const TermGroup& group) const {
  for (const std::string& term : group) {
    if (endorses(term)) return term;
  }
  return {};
}

int64_t FoldedText::attributing_sentences() const {
  return std::count(attributes_.begin(), attributes_.end(), true);
}

double FoldedText::english_share() const {
  int64_t english = 0, in_window = 0, function_words = 0, ascii = 0;
  const auto end_window = [&] {
    // In English prose more than a third of the words are of that list; one in eight suffices.
    if (function_words * 8 >= in_window) english += ascii;
    in_window = function_words = ascii = 0;
  };
  int64_t left = words_;
  for (const Token& token : tokens_) {
    if (!token.word) continue;
    ++in_window;
    --left;
    ascii += ascii_word(token.text) ? 1 : 0;
    function_words += is_one_of(token.text, kEnglish) ? 1 : 0;
    // A short rest joins the window before it.
    if (in_window >= kEnglishWindow && left >= kEnglishWindow) end_window();
  }
  end_window();
  return words_ == 0 ? 0 : static_cast<double>(english) / static_cast<double>(words_);
}

}  // namespace ds4::suites

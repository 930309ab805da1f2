// Cuts text into the pieces inside which BPE may merge: a sequence of "Split, Isolated" stages,
// each applied to every piece of the stage before (model.md 6.1, steps 2-4).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ds4::text {

/// One Split stage of tokenizer.json.
struct SplitRule {
  std::string pattern;
  bool is_literal = false;  // `String` instead of `Regex`
  std::string key;          // where it stands in the file, for error messages
};

class Pretokenizer {
 public:
  /// Compiles the rules. `source` names the file in errors; throws Error(kCheckpoint).
  Pretokenizer(const std::vector<SplitRule>& rules, const std::string& source);
  ~Pretokenizer();

  /// Appends the pieces of `text` in order; together they are `text`, none is empty. A match and
  /// the gap before it are pieces of their own; a stage sees one piece at a time, so that a
  /// lookahead never sees past its end. Bytes that are not UTF-8 become pieces of one byte each.
  /// Throws Error(kCheckpoint) when a rule exceeds PCRE2's limits on this text. Thread-safe.
  void split(std::string_view text, std::vector<std::string_view>& pieces) const;

 private:
  class Stage;

  std::vector<std::unique_ptr<Stage>> stages_;
};

}  // namespace ds4::text

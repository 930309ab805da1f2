// What a model did in the turns of a case, as the rules of toolcall15 look at it.
#pragma once

#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "suites/suite.h"

namespace ds4::suites::toolcall15 {

struct MadeCall {
  std::string name;
  /// Strings as they stand, other values as JSON; none where the arguments are no JSON object.
  std::map<std::string, std::string> arguments;
  size_t turn = 0;     // counts from 0
  size_t earlier = 0;  // turns before this one that called the same tool

  /// The argument, "" when it is not there.
  std::string argument(const std::string& name) const;
};

/// Argument names and what their values must contain, in lower case.
using With = std::initializer_list<std::pair<const char*, const char*>>;

/// Whether it is a call of that tool, and each argument contains the text, in any case.
bool is_call(const MadeCall& call, std::string_view tool, With with = {});

struct Play {
  std::vector<MadeCall> calls;     // in order
  std::vector<std::string> texts;  // what a reader sees, one per turn
  std::string last;                // of them

  /// The first such call in turn `from` or later, or nullptr.
  const MadeCall* find(std::string_view tool, With with = {}, size_t from = 0) const;
  bool has(std::string_view tool) const { return find(tool) != nullptr; }
  /// Every call is of one of these tools.
  bool only(std::initializer_list<std::string_view> tools) const;
};

Play play_of(std::span<const Turn> turns);

/// Whether the text has this number, thousands separators and final zeros aside ("7,450.40").
bool has_number(std::string_view text, std::string_view number);

/// Whether a sentence asks the user for something about one of the subjects (lower-case words): a
/// question, or a request. A sentence that only has a word like "which" does neither.
bool asks_about(std::string_view text, std::initializer_list<std::string_view> subjects);

/// Whether one of the phrases (lower case, plain apostrophes) stands in the text as whole words.
bool says(std::string_view text, std::initializer_list<std::string_view> phrases);

}  // namespace ds4::suites::toolcall15

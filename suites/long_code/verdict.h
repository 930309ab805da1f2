// Reads what a code review claims: where which error is, or that there is none.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace ds4::suites {

struct ReviewClaims {
  std::set<std::string> files, functions;  // names that are named
  std::set<int64_t> lines;
  std::set<std::string> kinds;  // "past_end", ...
  bool clean = false;           // says that nothing is wrong, and claims no error
  bool mentions = false;        // says off-by-one or fencepost, and not that there is none
};

/// Lines "File: ...", "Function: ...", "Line: ..." and "Class: ..." (or "Kind: ...") decide where
/// they stand; free text otherwise.
ReviewClaims read_review(std::string_view answer);

}  // namespace ds4::suites

// Reads what a code review claims: which functions it names, which error, or that there is none.
#pragma once

#include <set>
#include <string>
#include <string_view>

namespace ds4::suites {

struct ReviewClaims {
  std::set<std::string>
      functions;  // function names in the answer (in its "Function:" line, if any)
  bool past_end = false;
  bool skips_first = false;
  bool clean = false;     // says that nothing is wrong, and claims no error
  bool mentions = false;  // says off-by-one or fencepost, and not that there is none
};

/// Lines "Function: ..." and "Kind: ..." decide where they stand; free text otherwise.
ReviewClaims read_review(std::string_view answer);

}  // namespace ds4::suites

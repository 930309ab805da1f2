// The points of each of the 15 scenarios (README.md has the table).
#pragma once

#include <string>

#include "suites/toolcall15/play.h"

namespace ds4::suites::toolcall15 {

struct Verdict {
  int points = 0;   // of 2
  std::string why;  // a clause
};

/// `scenario`: 1 to 15.
Verdict judge(int scenario, const Play& play);

}  // namespace ds4::suites::toolcall15

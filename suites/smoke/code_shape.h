// Does an answer hold the function that was asked for? Structure only: nothing here runs or
// compiles code, which a model wrote.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ds4::suites {

struct WantedCode {
  std::string language;  // "python" or "c"
  std::string name;      // of the function
  int64_t parameters = 0;
  std::vector<std::string> must;      // words that its text must have, e.g. "return"
  std::vector<std::string> must_not;  // and must not
};

/// What is wrong with the first fenced block of the answer, without a final dot; "" when nothing
/// is: tagged with the language or with nothing, closed, brackets balanced, the function defined
/// with so many parameters, the words there or not. Strings and comments count for nothing. `code`
/// is set to the block. Linear in the answer.
std::string wrong_with_code(const WantedCode& wanted, std::string_view answer,
                            std::string_view& code);

}  // namespace ds4::suites

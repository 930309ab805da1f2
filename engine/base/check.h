// Checks for our own bugs: they print the expression and end the process. Never for user input.
#pragma once

#include <string>

namespace ds4 {

/// Prints "file:line: check failed: expression (detail)" to stderr and aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* expression,
                               const std::string& detail);

}  // namespace ds4

// Always on: use at API boundaries and launchers. The optional detail is a std::string expression.
#define DS4_CHECK(expression, ...)                                                      \
  do {                                                                                  \
    if (!(expression))                                                                  \
      ::ds4::check_failed(__FILE__, __LINE__, #expression, ::std::string{__VA_ARGS__}); \
  } while (false)

// Debug builds only: use in hot loops.
#ifdef NDEBUG
#define DS4_DCHECK(expression, ...) \
  do {                              \
  } while (false)
#else
#define DS4_DCHECK(expression, ...) DS4_CHECK(expression __VA_OPT__(, ) __VA_ARGS__)
#endif

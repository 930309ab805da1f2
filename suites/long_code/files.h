// Writes numbered source files of small functions, one line of which may be off by one, from
// functions.json. Which line it is follows from comparing the function with its sound form.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "suites/common/rng.h"
#include "suites/long_code/functions.h"

namespace ds4::suites {

struct SourceFiles {
  std::string text;  // all files, each under a header, lines numbered from 1
  int64_t files = 0;
  std::string file, function;  // where the error is; empty without one
  int64_t line = 0;            // in that file
};

/// `functions` functions (1 or more) in files of eight; number `planted` of them, from 0, has the
/// defect. With another defect, or none, all other functions are the same.
SourceFiles source_files(const Rng& rng, const std::string& language, int64_t functions,
                         int64_t planted, Defect defect);

/// Whether that can be the name of a function, or of a file, of source_files().
bool is_numbered_function(std::string_view identifier);
bool is_numbered_file(std::string_view name);

/// What stands before and behind the files.
std::string files_question(int64_t files, int64_t functions);
const std::string& files_answer();

}  // namespace ds4::suites

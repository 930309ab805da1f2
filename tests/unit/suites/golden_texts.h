// Answers written by hand, one file for a suite: "=== ID" and then the answer.
#pragma once

#include <fstream>
#include <map>
#include <string>

#include "tests/support/source_dir.h"

namespace ds4::suites {

/// The answers of tests/unit/suites/`file` by id.
inline std::map<std::string, std::string> golden_texts(const std::string& file) {
  std::ifstream lines(test_support::source_dir() / "tests/unit/suites" / file);
  std::map<std::string, std::string> out;
  std::string id;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("=== ")) {
      id = line.substr(4);
    } else {
      out[id] += line + "\n";
    }
  }
  return out;
}

}  // namespace ds4::suites

// A .env file read as data: assignments and quotes as a shell has them, and nothing else of a
// shell. Nothing is run, expanded or looked up.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ds4::profiles {

struct EnvEntry {
  int line = 0;
  std::string key;
  std::string value;
  /// Why the value is not known: it holds something a shell would compute; `value` is then the text
  /// as written. "" = known.
  std::string problem;
};

struct EnvFile {
  std::vector<EnvEntry> entries;  // in the order of the file
  /// Lines that are no assignment, with their number.
  std::vector<std::pair<int, std::string>> others;
};

/// `origin` names the file in messages. "KEY=${KEY:-value}" is read as the value. Throws
/// Error(kProfile) for a quote that is not closed on its line, and for NUL bytes.
EnvFile parse_env(std::string_view text, std::string_view origin);

}  // namespace ds4::profiles

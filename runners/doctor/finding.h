// What doctor says about one thing it looked at.
#pragma once

#include <string>
#include <vector>

namespace ds4::runners::doctor {

enum class Level {
  kOk,
  kNote,     // worth knowing; nothing suffers
  kWarning,  // measurements or the guard suffer
  kProblem,  // a run fails or endangers the machine
};
/// "ok", "note", "warning", "problem".
const char* level_name(Level level);

struct Finding {
  Level level = Level::kOk;
  std::string check;   // docs/doctor.md has a line for each: "swap"
  std::string text;    // one sentence with its figures; printable whatever was read
  std::string remedy;  // a command, or what to do where there is none; "" unless needed
};
using Findings = std::vector<Finding>;

/// The worst of them; kOk when there are none.
Level worst(const Findings& findings);

/// The exit code: 1 with a problem, or a warning when `strict`; else 0.
int exit_code(const Findings& findings, bool strict);

}  // namespace ds4::runners::doctor
